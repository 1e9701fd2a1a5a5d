"""Pages of a query, always in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from flask import request

from ..extensions import db

T = TypeVar("T")

PER_PAGE = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items of a query, and where they stand in it; pages count from 1."""

    items: Sequence[T]
    page: int
    per_page: int
    total: int

    @property
    def described(self) -> dict[str, Any]:
        """The page without its items, as the API says it."""
        return {
            "page": self.page,
            "per_page": self.per_page,
            "total": self.total,
            "has_next": self.page * self.per_page < self.total,
            "has_prev": self.page > 1,
        }


def page_of(statement: sa.Select[T], *, most: int | None = None) -> Page[T]:
    """Return the page of an ordered query that the request asks for with ``page`` and ``per_page``.

    :param most: the largest ``per_page`` that is served; None for no limit.
    """
    page = max(1, request.args.get("page", 1, int))
    asked = request.args.get("per_page", PER_PAGE, int)
    per_page = min(asked if asked > 0 else PER_PAGE, most or MOST)
    total = db.session.scalar(sa.select(sa.func.count()).select_from(statement.order_by(None).subquery())) or 0
    offset = min((page - 1) * per_page, MOST)
    items = db.session.scalars(statement.limit(per_page).offset(offset)).unique().all()
    return Page(items, page, per_page, total)


# What every server takes for LIMIT and OFFSET.
MOST = 2**63 - 1
