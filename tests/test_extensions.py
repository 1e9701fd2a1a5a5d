"""What the app's extensions are told."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from app.extensions import compare_exact_types
from app.models.base import string, text


@pytest.mark.parametrize(
    ("stored", "wanted", "changed"),
    [
        (mysql.VARCHAR(20, collation="utf8mb4_bin"), string(20), False),
        (mysql.VARCHAR(20, collation="utf8mb4_bin"), string(30), None),
        (mysql.MEDIUMTEXT(collation="utf8mb4_bin"), text(), False),
        (mysql.VARCHAR(20, collation="utf8mb4_general_ci"), string(20), None),
        (mysql.INTEGER(), sa.Integer(), None),
    ],
)
def test_a_text_of_an_older_version_is_no_drift(
    stored: sa.types.TypeEngine[object], wanted: sa.types.TypeEngine[object], changed: bool | None
) -> None:
    assert compare_exact_types(None, None, None, stored, wanted) is changed
