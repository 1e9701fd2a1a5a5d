"""The receipt as data, and which file it may take the place of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.transfer.run.report import FORMAT, Report, TableReceipt, may_be_written_to


def test_a_report_has_failed_until_it_is_ended() -> None:
    report = Report("20240101T000000-abcdef", "db-backup", tables=[TableReceipt("users", 2, 2)])
    assert (report.outcome, report.exit_status) == ("failed", 1)
    assert report.end("done", "Done.") is report
    said = json.loads(json.dumps(report.to_json()))
    assert (said["format"], said["outcome"], said["exit_status"], said["live"]) == (FORMAT, "done", 0, "unchanged")
    assert said["tables"] == [
        {
            "table": "users",
            "rows": 2,
            "loaded": 2,
            "waived": 0,
            "set_aside": 0,
            "checksum": "",
            "rows_at_head": None,
            "note": "",
        }
    ]


@pytest.mark.parametrize(
    ("content", "may"),
    [
        (json.dumps(Report("r", "db-init").to_json()), True),
        (json.dumps(Report("r", "db-init").to_json(), indent=1), True),
        ('{"run": "x", "command": "db-restore", "outcome": "done"}', True),
        ('{"run": "x", "command": "other"}', False),
        ('{"name": "my settings", "format": "flask-ferry-report"}', False),
        ("", False),
        ("SQLite format 3\0", False),
    ],
)
def test_only_a_report_is_written_over(tmp_path: Path, content: str, may: bool) -> None:
    (tmp_path / "report.json").write_text(content)
    assert may_be_written_to(tmp_path / "report.json") is may


def test_what_is_no_file_is_not_written_over(tmp_path: Path) -> None:
    assert may_be_written_to(tmp_path / "new.json")
    assert not may_be_written_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert not may_be_written_to(tmp_path / "dangling")
