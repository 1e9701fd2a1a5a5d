"""Pages of a query, always in the same order."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Flask

from app.extensions import db

from .sites import Login


def test_pages(login: Login) -> None:
    admin = login("toby")

    def page(query: str) -> dict[str, Any]:
        return admin.get(f"/api/export/posts?{query}").json or {}

    pages = [page(f"per_page=3&page={number}") for number in (1, 2, 3)]
    assert [[post["id"] for post in answer["posts"]] for answer in pages] == [[1, 2, 3], [4], []]
    assert [(answer["has_prev"], answer["has_next"]) for answer in pages] == [
        (False, True),
        (True, False),
        (True, False),
    ]
    assert {answer["total"] for answer in pages} == {4}
    for odd in ("page=0", "page=-1", "page=x", "per_page=0", "per_page=-1", "per_page=" + "9" * 30):
        assert len(page(odd)["posts"]) == 4
    assert page("page=" + "9" * 30)["posts"] == []


def test_a_page_of_posts_costs_few_queries(app: Flask, login: Login) -> None:
    admin = login("toby")
    statements: list[str] = []
    with app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    admin.get("/api/export/posts")
    assert len(statements) <= 5  # the user, the generation, and three
