"""Revisions that spell the schema they live in: staging has that name while they run; nothing of live is reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import ServerSite, databases
from tests.support.runs.commands import history
from tests.support.runs.host import HOST, MIGRATIONS
from tests.support.site import Result, Site

SPELLED = {
    "update": 'op.execute("UPDATE public.users SET name = upper(name)")',
    "insert": "op.execute(\"INSERT INTO public.sections (name, abbreviation) VALUES ('Made', 'M9')\")",
    "delete": 'op.execute("DELETE FROM public.feedbacks")',
    "type": "op.execute(\"CREATE TYPE public.mood AS ENUM ('calm')\")",
    "column": "op.execute(\"ALTER TABLE public.sections ADD COLUMN extra text DEFAULT 'x'\")",
    "raw cursor": 'op.get_bind().connection.cursor().execute("UPDATE public.users SET name = upper(name)")',
    "do": 'op.execute("DO $$ BEGIN UPDATE public.users SET name = upper(name); END $$")',
    "look-up": (
        'found = op.get_bind().exec_driver_sql("SELECT count(*) FROM information_schema.columns WHERE table_schema = '
        "'public' AND table_name = 'sections' AND column_name = 'extra'\").scalar()\n"
        "assert found == 0\n"
        "op.execute('ALTER TABLE sections ADD COLUMN extra text')\n"
        'found = op.get_bind().exec_driver_sql("SELECT count(*) FROM information_schema.columns WHERE table_schema = '
        "'public' AND table_name = 'sections' AND column_name = 'extra'\").scalar()\n"
        "assert found == 1, found"
    ),
    "named cursor": (
        "cursor = op.get_bind().connection.driver_connection.cursor('named')\n"
        "cursor.execute('SELECT count(*) FROM public.sections')\n"
        "cursor.close()\n"
        "op.execute('ALTER TABLE public.sections ADD COLUMN extra text')\n"
    ),
    "an error in autocommit": (
        "import sqlalchemy.exc\n"
        "with op.get_context().autocommit_block():\n"
        "    try:\n        op.execute('SELECT nothing')\n"
        "    except sqlalchemy.exc.ProgrammingError:\n        pass\n"
        "    op.execute('CREATE INDEX ix_names ON public.users (name)')"
    ),
    "autocommit": (
        "with op.get_context().autocommit_block():\n"
        '    op.execute("UPDATE public.users SET name = upper(name)")\n'
        "    op.execute('CREATE INDEX CONCURRENTLY ix_names ON public.users (name)')\n"
        "    op.execute('VACUUM public.users')"
    ),
    "commit": (
        "op.execute('COMMIT')\n"
        "op.execute('CREATE INDEX CONCURRENTLY ix_names ON public.users (name)')\n"
        'op.execute("UPDATE public.users SET name = upper(name)")'
    ),
    "commit among others": (
        "op.execute('COMMIT; UPDATE public.users SET name = upper(name); COMMIT; CREATE INDEX CONCURRENTLY ix_names '\n"
        "           'ON public.users (name)')"
    ),
    "begin and commit": (
        "op.execute('''BEGIN;\n-- a; COMMIT\nUPDATE public.users SET name = upper(name) WHERE name <> ';COMMIT;';\n"
        "END;\nSELECT 1; ''')"
    ),
    "new value of a type": (
        "op.execute(\"CREATE TYPE public.mood AS ENUM ('calm')\")\n"
        "op.execute('ALTER TABLE sections ADD COLUMN extra mood')\n"
        "with op.get_context().autocommit_block():\n"
        "    op.execute(\"ALTER TYPE mood ADD VALUE 'wild'\")\n"
        "op.execute(\"UPDATE sections SET extra = 'wild'\")"
    ),
    "validate": (
        "op.execute('ALTER TABLE public.users ADD CONSTRAINT named CHECK (name <> $$nobody$$) NOT VALID')\n"
        "op.execute('COMMIT')\n"
        "op.execute('ALTER TABLE public.users VALIDATE CONSTRAINT named')"
    ),
    "deferred": (
        "op.execute('''CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        "    BEGIN UPDATE public.users SET name = upper(name); RETURN NULL; END $$''')\n"
        "op.execute('CREATE CONSTRAINT TRIGGER late AFTER INSERT ON sections DEFERRABLE INITIALLY DEFERRED '\n"
        "           'FOR EACH ROW EXECUTE FUNCTION public.shout()')\n"
        "op.execute(\"INSERT INTO sections (name, abbreviation) VALUES ('Made', 'M9')\")\n"
    ),
}


OF_PSYCOPG2 = {
    "several with a value": (
        "import sqlalchemy as sa\n"
        'op.get_bind().execute(sa.text("UPDATE public.users SET name = upper(name) WHERE name <> :no; "\n'
        "                              \"UPDATE users SET name = upper(name) WHERE name LIKE '%a%'\"), {'no': ''})"
    ),
    "extras": (
        "from psycopg2.extras import RealDictCursor, execute_values\n"
        "cursor = op.get_bind().connection.connection.cursor(cursor_factory=RealDictCursor)\n"
        "cursor.execute('SELECT name FROM public.users WHERE name <> %s', ('',))\n"
        "names = [(row['name'], row['name'].upper()) for row in cursor.fetchall()]\n"
        "execute_values(cursor, 'UPDATE public.users SET name = v.new FROM (VALUES %s) AS v (old, new) '\n"
        "               'WHERE name = v.old', names)"
    ),
}
"""What only psycopg2 does, or does otherwise."""
WRITES_NAMES = {"update", "raw cursor", "do", "autocommit", "commit", "commit among others", "begin and commit"}
WRITES_NAMES |= set(OF_PSYCOPG2)
CASES = [("psycopg", kind) for kind in SPELLED]
CASES += [("psycopg2", kind) for kind in ("update", "autocommit", "commit among others", *OF_PSYCOPG2)]


@pytest.fixture
def released(
    deployed: Callable[[str], ServerSite | Site], taken: Path, tmp_path: Path, driver: str
) -> Callable[[str], Released]:
    """A migrated app on PostgreSQL, by a driver, with a new release, whose revision has these lines."""
    site = deployed("postgresql")
    assert isinstance(site, ServerSite)
    ok(site.flask("db-migrate-data", str(taken), "--yes"))

    def release(upgrade: str) -> Released:
        scripts = history(tmp_path / "migrations", upgrade, declared="ferry_losses = {'feedbacks': 'none'}")
        return Released(site, scripts, driver)

    return release


class Released:
    """A site whose code has one more revision than its database."""

    def __init__(self, site: ServerSite, migrations: Path, driver: str) -> None:
        url = site.url.set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)
        self.site, self._environ = site, {"FLASK_APP": HOST, MIGRATIONS: str(migrations), "DATABASE_URL": url}

    def flask(self, *arguments: str) -> Result:
        return self.site.flask(*arguments, **self._environ)


def ok(result: Result) -> Result:
    assert result.status == 0, result.stderr + result.stdout
    return result


@pytest.mark.parametrize(("driver", "kind"), CASES)
def test_looking_and_rehearsing_change_nothing_and_the_upgrade_takes_place(
    released: Callable[[str], Released], kind: str
) -> None:
    site = released((SPELLED | OF_PSYCOPG2)[kind])
    before = site.site.content()
    # That a look runs no revision is seen in test_look.py.
    looks = ("db-status",), ("db-verify",), ("db-migrate-data", "self", "--yes", "--dry-run")
    for command in looks if kind == "update" else ():
        ok(site.flask(*command))
        assert site.site.content() == before, command
    names = {row["name"] for row in site.site.rows()["users"]}
    done = site.flask("db-migrate-data", "self", "--yes")
    if kind in ("insert", "delete", "deferred"):
        # Rows come or go: the revision has to say so, or did.
        assert done.status in (0, 23), done.stderr
    else:
        ok(done)
    if kind in WRITES_NAMES:
        assert {row["name"] for row in site.site.rows()["users"]} == {name.upper() for name in names}
    assert not [name for name in databases(site.site.url) if "hold" in name or "staging" in name]
    if done.status == 0:
        ok(site.flask("db-rollback", "--yes"))
    assert site.site.content() == before


@pytest.mark.parametrize("driver", ["psycopg2"])
@pytest.mark.parametrize(
    ("upgrade", "words"),
    [
        ("op.execute('DO $$ BEGIN COMMIT; UPDATE public.users SET name = upper(name); END $$')", "0008_next"),
        ("op.execute('ROLLBACK; UPDATE public.users SET name = upper(name)')", "0008_next"),
        ("op.execute('SELECT 1; abort work; DELETE FROM public.feedbacks')", "0008_next"),
        ("op.execute('ROLLBACK AND CHAIN')", "0008_next"),
        ("op.execute('/* x */ ROLLBACK -- y\\n; UPDATE public.users SET name = upper(name)')", "0008_next"),
        (
            "sql = __import__(op.get_bind().dialect.driver, fromlist=['sql']).sql\n"
            "op.get_bind().connection.cursor().execute(sql.SQL('ROLLBACK; DELETE FROM public.feedbacks'))",
            "ROLLBACK",
        ),
        ("op.execute('TRUNCATE ferry.journal')", "ferry.journal"),
        ("op.execute('ALTER TABLE ferry.lease ADD COLUMN extra int')", "ferry.lease"),
        ("op.execute('CREATE TABLE ferry.more (id int)')", "ferry.more"),
        ("op.execute('UPDATE ferry_hold.users SET name = upper(name)')", "ferry_hold.users"),
        ("op.execute('DELETE FROM ferry.ledger')", "ferry.ledger"),
        (
            "from app.extensions import db\nimport sqlalchemy as sa\n"
            "op.execute('SELECT 1')\nwith db.engine.connect() as second:\n    second.execute(sa.text('SELECT 1'))",
            "second connection",
        ),
    ],
)
def test_what_reaches_out_is_refused(released: Callable[[str], Released], upgrade: str, words: str) -> None:
    site = released(upgrade)
    before, ledger = site.site.content(), site.site.scalar("SELECT count(*) FROM ferry.ledger")
    done = site.flask("db-migrate-data", "self", "--yes")
    assert done.status == 22, done.stderr
    assert "0008_next" in done.stderr
    assert words in done.stderr
    assert site.site.content() == before
    assert site.site.scalar("SELECT count(*) FROM ferry.ledger") == ledger
    assert not [name for name in databases(site.site.url) if "hold" in name or "staging" in name]
