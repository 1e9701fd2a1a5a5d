"""The classic API's endpoints: which types there are, and how each is asked for."""

from __future__ import annotations

from dataclasses import dataclass

PAGED = ("users", "topics", "microblogs", "posts", "personas", "user_personas")
UNPAGED = ("sections", "classrooms", "feedback", "study")


@dataclass(frozen=True)
class Endpoint:
    """Where a type is read: its path, how its pages are asked for and which parameters it always takes."""

    type: str
    path: str
    key: str | None = None
    paged: bool = False
    limit: bool = False
