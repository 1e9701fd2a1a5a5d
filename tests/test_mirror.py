"""Tests lie where what they test lies: each module of the app has a file of its name, or it says here who tests it."""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

from tests.support.site import ROOT

COMMANDS = ("commands", "transfer/jobs")
"""Rooms of whole commands: what runs them lies in ``tests/scenarios/``, under the command's name."""

# May only shrink: a module that has a file of its name must not stand here, and a new module has one. Most of these
# show what they do in a whole run only, or are tested as one with others: the columns of models, a server's room.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "dialects/lent.py": ("dialects/postgresql/test_lent.py",),
    "__init__.py": ("test_config.py",),
    "api/__init__.py": ("api/test_hostile.py",),
    "classic/__init__.py": (
        "classic/test_contract.py",
        "classic/test_round_trip.py",
    ),
    "classic/api.py": ("transfer/sources/test_rest_api.py",),
    "classic/tables.py": ("scenarios/hosts/test_classic.py",),
    "commands/events.py": ("scenarios/commands/test_output.py",),
    "commands/execute.py": (
        "scenarios/commands/test_output.py",
        "scenarios/runs/test_signals.py",
    ),
    "commands/migrate.py": ("scenarios/deployment/test_deployment.py",),
    "commands/options.py": ("scenarios/commands/test_output.py",),
    "commands/render.py": ("scenarios/commands/test_output.py",),
    "commands/rollback.py": (
        "scenarios/runs/test_decisions.py",
        "scenarios/matrix/test_commands.py",
    ),
    "commands/session.py": (
        "scenarios/hosts/test_refused.py",
        "scenarios/hosts/test_accepted.py",
    ),
    "dialects/base.py": ("dialects/test_contract.py",),
    "dialects/mysql/catalogue.py": ("dialects/test_contract.py", "scenarios/test_statements_sent.py"),
    "dialects/mysql/client.py": ("scenarios/matrix/test_commands.py", "scenarios/commands/test_canary.py"),
    "dialects/mysql/engine.py": ("dialects/mysql/test_driver.py", "scenarios/matrix/test_live_database.py"),
    "dialects/mysql/inventory.py": ("scenarios/objects/test_guarantees.py",),
    "dialects/mysql/locked.py": ("scenarios/sources/test_locked.py",),
    "dialects/places.py": ("dialects/test_contract.py",),
    "dialects/reader.py": ("dialects/test_contract.py",),
    "dialects/postgresql/beside.py": (
        "dialects/postgresql/test_server.py",
        "dialects/test_contract.py",
    ),
    "dialects/postgresql/catalogue.py": ("dialects/test_contract.py", "scenarios/test_statements_sent.py"),
    "dialects/postgresql/control.py": (
        "scenarios/hosts/test_damaged_control_area.py",
        "dialects/test_contract.py",
    ),
    "dialects/postgresql/derived.py": ("scenarios/test_materialized_views.py",),
    "dialects/postgresql/driver.py": ("dialects/postgresql/test_connect.py", "scenarios/test_statements_sent.py"),
    "dialects/postgresql/fence.py": (
        "dialects/postgresql/test_swap.py",
        "dialects/test_contract.py",
    ),
    "dialects/postgresql/inventory.py": ("scenarios/objects/test_guarantees.py",),
    "dialects/postgresql/large.py": (
        "dialects/postgresql/test_large_write.py",
        "scenarios/test_large_objects.py",
    ),
    "dialects/postgresql/large_records.py": (
        "dialects/postgresql/test_large_write.py",
        "scenarios/test_large_objects.py",
    ),
    "dialects/postgresql/load.py": (
        "dialects/test_contract.py",
        "dialects/postgresql/test_write.py",
    ),
    "dialects/postgresql/watch.py": ("dialects/postgresql/test_restore.py",),
    "export/__init__.py": ("scenarios/export/test_protocol.py",),
    "models/classroom.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/feedback.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/leaderboard.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/microblog.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/orphan.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/persona.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/post.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/section.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/skill.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/study.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/topic.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "models/user.py": (
        "models/test_models.py",
        "migrations/test_head.py",
    ),
    "profiles.py": ("scenarios/anonymise/test_pull.py",),
    "transfer/anonymise/source.py": ("scenarios/anonymise/test_pull.py",),
    "transfer/jobs/brought_over.py": ("scenarios/matrix/test_short_stop.py",),
    "transfer/jobs/job.py": ("transfer/jobs/test_passage.py",),
    "transfer/jobs/migrate.py": ("scenarios/deployment/test_deployment.py",),
    "transfer/jobs/migration.py": (
        "scenarios/deployment/test_deployment.py",
        "scenarios/test_violations.py",
    ),
    "transfer/jobs/rollback.py": (
        "scenarios/runs/test_decisions.py",
        "scenarios/matrix/test_commands.py",
    ),
    "transfer/jobs/seeded.py": ("scenarios/commands/test_initialise.py",),
    "transfer/jobs/self_job.py": (
        "scenarios/runs/test_writers.py",
        "scenarios/matrix/test_writers.py",
    ),
    "transfer/jobs/set_aside_job.py": ("scenarios/sources/test_set_aside_from.py",),
    "transfer/jobs/source_job.py": ("scenarios/deployment/test_deployment.py",),
    "transfer/jobs/staged_backup.py": ("scenarios/commands/test_restore.py",),
    "transfer/jobs/verify_run.py": ("scenarios/commands/test_verify.py",),
    "transfer/run/hooks.py": ("scenarios/runs/test_question.py",),
    "transfer/run/worker_process.py": ("transfer/run/test_workers.py",),
    "transfer/schema/binds.py": ("scenarios/hosts/test_binds.py",),
    "transfer/schema/host.py": ("transfer/schema/test_alembic.py",),
    "transfer/set_aside/plan.py": ("scenarios/sources/test_set_aside_from.py",),
    "transfer/set_aside/report.py": ("scenarios/sources/test_set_aside_from.py",),
    "transfer/sources/answer.py": ("transfer/sources/test_http.py",),
    "transfer/sources/base.py": ("scenarios/sources/test_catch_up.py",),
    "transfer/sources/ferry_deployment.py": ("scenarios/export/test_source.py",),
    "transfer/sources/log_in.py": (
        "scenarios/sources/test_endpoints.py",
        "transfer/sources/test_rest_api.py",
    ),
    "transfer/sources/open.py": (
        "scenarios/sources/test_unreachable.py",
        "scenarios/sources/test_files.py",
    ),
    "transfer/sources/pages.py": (
        "transfer/sources/test_foreign_answers.py",
        "transfer/sources/test_rest_api.py",
    ),
    "transfer/sources/paging.py": ("scenarios/sources/test_endpoints.py",),
    "transfer/sources/rest_deployment.py": ("scenarios/deployment/test_deployment.py",),
    "transfer/sources/wire.py": ("transfer/sources/test_http.py",),
    "transfer/staging/catch_up.py": ("scenarios/sources/test_catch_up.py",),
    "transfer/staging/stage.py": (
        "scenarios/sources/test_set_aside_from.py",
        "scenarios/sources/test_spoiled_records.py",
    ),
}


def is_empty(module: Path) -> bool:
    """Whether a module is a docstring and imports alone."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    words = (ast.Expr, ast.Import, ast.ImportFrom)
    return all(isinstance(node, words) for node in body)


def modules() -> list[str]:
    return sorted(
        path.relative_to(ROOT / "app").as_posix() for path in (ROOT / "app").rglob("*.py") if not is_empty(path)
    )


def has_test_file(module: str) -> bool:
    """Whether a module ``a/b.py`` has ``tests/a/test_b.py``, or ``a/__init__.py`` has ``test_a.py``."""
    path = PurePosixPath(module)
    name = f"test_{path.parent.name or 'app'}.py" if path.name == "__init__.py" else f"test_{path.name}"
    room = ROOT / "tests" / path.parent
    places = [room / name, *([room.parent / name] if path.name == "__init__.py" else [])]
    if path.parent.as_posix() in COMMANDS:
        places += (ROOT / "tests" / "scenarios").rglob(name)
    return any(place.is_file() for place in places)


def test_each_module_has_a_test_file_of_its_name_or_says_who_tests_it() -> None:
    missing = {module for module in modules() if not has_test_file(module)}
    assert missing == set(ELSEWHERE)
    for module, files in ELSEWHERE.items():
        assert files, module
        for file in files:
            assert (ROOT / "tests" / file).exists(), f"{module}: {file}"
