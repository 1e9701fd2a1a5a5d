"""The readers that are tried with bytes of any kind: each of what Flask-Ferry reads and did not write just now."""

from __future__ import annotations

from .readers import dumps, rows, settings, sources
from .target import Target

TARGETS = (
    # Files
    Target("snapshot", rows.snapshot),
    Target("sealed_snapshot", rows.sealed_snapshot),
    Target("strict_json", rows.strict_json, examples=1000),
    Target("mended_json", rows.mended_json, examples=1000),
    Target("normal_json", rows.normal_json, examples=1000),
    Target("classic_file", rows.classic_file, examples=500),
    Target("rows_set_aside", rows.rows_set_aside, examples=500),
    # Answers
    Target("records", sources.records, examples=60),
    Target("log_in", sources.log_in, examples=100),
    Target("manifest_answer", sources.manifest_answer, examples=60),
    Target("export_answer", sources.export_answer, examples=60),
    Target("packed_export", sources.packed_export, examples=60),
    # Backups
    Target("mysql_dump", dumps.mysql_dump, examples=300),
    Target("postgresql_script", dumps.postgresql_script, examples=300),
    Target("large_objects", dumps.large_objects, examples=300),
    Target("sqlite_file", dumps.sqlite_file, examples=40),
    Target("manifest", settings.manifest, examples=200),
    # What is said of a database, and by whom
    Target("ledger_entry", settings.ledger_entry, examples=500),
    Target("control_area", settings.control_area, examples=40),
    Target("settings", settings.settings, examples=300),
    Target("redacted_url", settings.redacted_url, examples=500),
    Target("declarations", settings.declarations, examples=300),
)
BY_NAME = {target.name: target for target in TARGETS}
