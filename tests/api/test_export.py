"""Users and the classic export: shapes, who may see them, and where hashes are."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from .sites import KEYS, Login

PAGED = ("users", "topics", "microblogs", "posts", "personas", "user_personas")


@pytest.mark.parametrize("name", KEYS)
def test_each_type(login: Login, name: str) -> None:
    answer = login("toby").get(f"/api/export/{name}").json
    assert answer is not None
    assert set(answer[name][0]) == set(KEYS[name].split())
    assert answer["count"] == len(answer[name])
    paging = {"total", "page", "per_page", "has_next", "has_prev"} if name in PAGED else set()
    assert set(answer) == {name, "count"} | paging
    keys = [record["id"] for record in answer[name] if "id" in record]
    assert keys == sorted(keys)


def test_everything_at_once(login: Login) -> None:
    admin = login("toby")
    answer = admin.get("/api/export/all").json
    assert answer is not None
    metadata = answer.pop("_metadata")
    assert metadata["tables"] == list(answer)
    assert set(answer) == set(KEYS)
    assert metadata["total_records"] == sum(map(len, answer.values()))
    for name, shown in answer.items():
        assert admin.get(f"/api/export/{name}?per_page=1000").json[name] == shown  # type: ignore[index]


def test_who_may_export(login: Login, client: FlaskClient) -> None:
    student, admin = login("niko"), login("toby")
    for name in (*KEYS, "all", "nothing"):
        assert client.get(f"/api/export/{name}").status_code == 401
        assert student.get(f"/api/export/{name}").status_code == 403
        assert admin.get(f"/api/export/{name}").status_code == (404 if name == "nothing" else 200)


def test_hashes_leave_through_the_export_only(login: Login) -> None:
    admin = login("toby")
    texts = {name: admin.get(f"/api/export/{name}").text for name in KEYS}
    texts["user"] = admin.get("/api/user").text
    assert {name for name, text in texts.items() if re.search(r"scrypt|password", text)} == {"users"}
