"""PostgreSQL: backups that somebody changed, so that they would do more than be restored."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.dialects import dialect_for
from app.dialects.postgresql import client, restore
from app.dialects.postgresql.watch import Watch
from app.errors import BackupFailed, DatabaseUnreachable, DoesNotFit, ToolFailed
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL
from tests.support.servers.proxy import Proxy

from .archives import STATEMENTS, forge, plain_dump, script_of
from .schemas import ask, superuser_room, swap

FILLER = "x" * 800
"""Room for what is put in the place of a comment."""

NOTE = "y" * 200

SITE = f"""
CREATE TABLE posts (id serial PRIMARY KEY, words text NOT NULL);
INSERT INTO posts (words) SELECT 'secret ' || n FROM generate_series(1, 50) n;
CREATE TABLE tags (id int PRIMARY KEY);
INSERT INTO tags VALUES (1), (2);
COMMENT ON TABLE tags IS '{FILLER}';
CREATE TABLE notes (words text);
INSERT INTO notes VALUES ('a'), ('{NOTE}'), ('z');
CREATE VIEW loud AS SELECT upper(words) AS words FROM posts;
"""
COMMENT = f"COMMENT ON TABLE public.tags IS '{FILLER}';"


@pytest.fixture
def site(room: Room) -> Room:
    """Live tables with rows."""
    room.dialect.create(room.target)
    room.execute(SITE)
    return room


def look(room: Room) -> Any:
    """All that an attack may change: rows, definitions, positions, schemas, functions, temporary files of ours."""
    with room.connect() as connection:
        schemas = connection.exec_driver_sql(
            "SELECT oid, nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_.*temp_' ORDER BY 1"
        ).fetchall()
        tables = connection.exec_driver_sql(
            "SELECT c.oid, relname, relfilenode, relacl::text FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' ORDER BY 1"
        ).fetchall()
        positions = connection.exec_driver_sql("SELECT last_value, is_called FROM posts_id_seq").fetchall()
        functions = connection.exec_driver_sql("SELECT oid, proname, prosrc FROM pg_proc ORDER BY 1").fetchall()
    return room.everything(), schemas, tables, positions, functions


@contextlib.contextmanager
def untouched(room: Room) -> Iterator[None]:
    """A block after which everything is as it was."""
    before = look(room)
    yield
    assert look(room) == before


def refused(room: Room, dump: Path, words: str) -> BackupFailed:
    with untouched(room), pytest.raises(BackupFailed, match=words) as caught:
        room.dialect.restore(dump, room.other("back"))
    text = f"{caught.value.message}{caught.value.hint}{caught.value.details}"
    assert str(dump) in text
    assert "secret" not in text
    return caught.value


# Statements


@pytest.fixture
def forgeable(site: Room) -> Path:
    return plain_dump(site.target, site.directory / "backup.dump")


def test_no_statement_but_those_of_a_dump_is_run(site: Room, forgeable: Path) -> None:
    whole = forgeable.read_bytes()
    touched = site.directory / "touched"
    # Each of them is refused by test_postgresql_script; these go all the way.
    before = look(site)
    for statement in [*STATEMENTS[:24], *STATEMENTS[24::6]]:
        forgeable.write_bytes(whole)
        forge(forgeable, COMMENT, statement.format(touched=touched) if "{touched}" in statement else statement)
        with contextlib.suppress(subprocess.CalledProcessError):
            assert statement.split("{")[0].rstrip("\n") in script_of(forgeable) or "\r" in statement
        with pytest.raises(BackupFailed, match="cannot be restored") as caught:
            site.dialect.restore(forgeable, site.other("back"))
        assert "secret" not in caught.value.message
        assert not touched.exists()
    assert look(site) == before
    forgeable.write_bytes(whole)
    site.dialect.restore(forgeable, site.other("back"))
    assert site.state(site.other("back")) == site.state()


OLD = """#!{python}
import os, re, subprocess, sys
script = subprocess.run([{program!r}, *sys.argv[1:]], stdin=sys.stdin, stdout=subprocess.PIPE)
text = script.stdout
if text.startswith(b"--"):
    # As before CVE-2025-8714 was fixed: nothing guards psql, and a name with a line break ends its comment.
    text = re.sub(rb"(?m)^\\\\(?:un)?restrict .*\\n", b"", text)
    text = text.replace(b"-- Name: tags;", b"-- Name: tags\\n" + {deed!r} + b"\\n-- ;", 1)
os.write(1, text) if len(text) < 1 << 15 else sys.stdout.buffer.write(text)
sys.exit(script.returncode)
"""


@pytest.mark.parametrize("deed", ["\\! touch {touched}", "\\copy posts to program 'touch {touched}'", "COMMIT;", ""])
def test_a_pg_restore_older_than_what_guards_psql(
    site: Room, forgeable: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """CVE-2025-8714: what a name in the archive gives to psql is run by nobody here, as psql is not asked."""
    touched, programs, real = site.directory / "touched", site.directory / "programs", client._directories()[0]
    programs.mkdir(mode=0o755)
    (programs / "pg_dump").symlink_to(real / "pg_dump")
    old, deed = programs / "pg_restore", deed.format(touched=touched)
    old.write_text(OLD.format(python=sys.executable, program=str(real / "pg_restore"), deed=deed.encode()))
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    shown = subprocess.run([str(old), "-f", "-", str(forgeable)], capture_output=True, text=True, check=True).stdout
    assert f"\n{deed}\n" in shown
    assert "restrict " not in shown
    if deed:
        refused(site, forgeable, "cannot be restored")
    else:
        site.dialect.restore(forgeable, site.other("back"))
        assert site.state(site.other("back")) == site.state()
    assert not touched.exists()


def test_a_refusal_names_file_and_statement_and_shows_no_row(site: Room, forgeable: Path) -> None:
    forge(forgeable, COMMENT, "UPDATE public.posts SET words = 'secret';")
    error = refused(site, forgeable, r"statement \d+ \(UPDATE public\.posts SET words\) is none that pg_dump writes")
    assert "flask db-backup --list" in str(error.hint)
    whole = plain_dump(site.target, site.directory / "other.dump").read_bytes()
    site.execute("ALTER TABLE posts ADD CHECK (words ~ '^secret')")
    checked = plain_dump(site.target, site.directory / "checked.dump").read_bytes()
    for content, text, words in (
        (whole, "z\tsecret 7", "invalid input syntax for type integer: row 7 of posts"),
        (checked, "7\tother", 'violates check constraint "posts_words_check": row 7 of posts'),
        (checked, "6\tsecret 7", r"unique index \"posts_pkey\": Key \(id\)=\(6\) is duplicated"),
    ):
        forgeable.write_bytes(content)
        refused(site, forge(forgeable, "7\tsecret 7", text), words)


def test_rows_end_where_they_say_and_no_later(site: Room, forgeable: Path) -> None:
    whole = forgeable.read_bytes()
    for end in ("\\.\nCOMMIT;\nDELETE FROM public.posts;\n", "\\.\n\\! touch x\n", "\\.\n;COMMIT;"):
        forgeable.write_bytes(whole)
        forge(forgeable, f"{NOTE}\n", end)
        refused(site, forgeable, "cannot be restored")
    for line in ("\\.x", "\\.\r"):
        forgeable.write_bytes(whole)
        forge(forgeable, NOTE, line)
        refused(site, forgeable, "end-of-copy marker")


def test_a_name_cannot_command_a_terminal(site: Room, forgeable: Path) -> None:
    forge(forgeable, COMMENT, 'DROP TABLE "\x1b[2J\n";')
    error = refused(site, forgeable, r'\(DROP TABLE "\?\[2J\?"\)')
    assert error.message.isprintable()


def test_what_is_of_no_schema_is_refused_by_name(owned: Room) -> None:
    owned.execute("CREATE TABLE t (x int); CREATE CAST (text AS point) WITH INOUT")
    url = owned.target
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": str(url.password)}
    from tests.support.servers.postgresql import program

    dump = owned.directory / "whole.dump"
    where = ["-h", str(url.host), "-p", str(url.port), "-U", str(url.username), "-f", str(dump), str(url.database)]
    subprocess.run([program("pg_dump"), "-Fc", *where], check=True, env=environment, timeout=60)
    with pytest.raises(BackupFailed, match="no part of a schema: CAST") as caught:
        owned.dialect.restore(dump, owned.other("back"))
    assert "pg_dump -Fc -n SCHEMA" in str(caught.value.hint)
    assert not owned.dialect.exists(owned.other("back"))


# Code that a restore runs

CODE = """
CREATE FUNCTION deed() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    -- {filler}
    RETURN true;
END $$;
CREATE FUNCTION evil() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.deed(); END';
CREATE FUNCTION late() RETURNS int LANGUAGE plpgsql AS 'BEGIN IF to_regnamespace(''ferry_'' || ''hold'') IS NULL THEN
    DELETE FROM public.posts; END IF; RETURN 1; END';
CREATE FUNCTION later(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.late(); END';
"""
"""An immutable function may not write; what it calls may."""
WAYS = {
    "check": "CREATE TABLE t (x int); INSERT INTO t VALUES (1); ALTER TABLE t ADD CHECK (x > 0 AND public.evil())",
    "domain": "CREATE DOMAIN d AS int CHECK (public.evil()); CREATE TABLE t (x d); INSERT INTO t VALUES (1)",
    "generated": "CREATE TABLE t (x int, y bool GENERATED ALWAYS AS (public.evil()) STORED); INSERT INTO t VALUES (1)",
    "index": "CREATE TABLE t (x int); INSERT INTO t VALUES (1); CREATE INDEX ON t ((public.evil()))",
    "predicate": "CREATE TABLE t (x int); INSERT INTO t VALUES (1); CREATE INDEX ON t (x) WHERE public.evil()",
    "view": "CREATE TABLE t (x int); CREATE MATERIALIZED VIEW m AS SELECT public.evil()",
}
# Whatever looks while the names are away finds nothing done.
LATER = (
    "CREATE FUNCTION public.off() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.posts; "
    "RETURN NULL; END';"
    "CREATE CONSTRAINT TRIGGER off AFTER INSERT ON %s.off DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "
    "public.off(); INSERT INTO %s.off VALUES (1);"
)
DEEDS = {
    "delete": "DELETE FROM ferry_hold.posts;",
    "update": "UPDATE ferry_hold.posts SET words = '';",
    "insert": "INSERT INTO ferry_hold.tags VALUES (3);",
    "truncate": "TRUNCATE ferry_hold.posts;",
    "drop": "DROP SCHEMA ferry_hold CASCADE;",
    "alter": "ALTER TABLE ferry_hold.posts ADD evil int;",
    "trigger": "ALTER TABLE ferry_hold.posts DISABLE TRIGGER ALL;",
    "replace a view": "CREATE OR REPLACE VIEW ferry_hold.loud AS SELECT ''::text AS words;",
    "function": "CREATE FUNCTION ferry_hold.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    "grant": "GRANT ALL ON ferry_hold.posts TO PUBLIC;",
    "grant a column": "GRANT SELECT (words) ON ferry_hold.posts TO PUBLIC;",
    "setval": "PERFORM setval('ferry_hold.posts_id_seq', 1);",
    "setval unseen": "BEGIN PERFORM setval('ferry_hold.posts_id_seq', 1); RAISE 'x'; EXCEPTION WHEN raise_exception "
    "THEN NULL; END;",
    "rename": "ALTER SCHEMA public RENAME TO b; ALTER SCHEMA ferry_hold RENAME TO public; ALTER SCHEMA b RENAME TO "
    "ferry_hold;",
    "schema": "CREATE SCHEMA evil;",
    "heir": "CREATE TABLE public.heir () INHERITS (ferry_hold.posts);",
    "reference": "CREATE TABLE public.r (id int REFERENCES ferry_hold.posts);",
    "other schema": "DELETE FROM aside.rows;",
    "other schema's table": "DROP TABLE aside.rows;",
    "other function": "CREATE OR REPLACE FUNCTION aside.f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
    "control area": "DELETE FROM ferry.runs;",
    "password": "ALTER ROLE CURRENT_USER SET work_mem = '1MB';",
    "large object": "PERFORM lo_create(0);",
    "shadow": "CREATE TEMP VIEW pg_locks AS SELECT * FROM pg_catalog.pg_locks LIMIT 0; DELETE FROM ferry_hold.posts;",
    "shadow path": "PERFORM set_config('search_path', 'public', false); DELETE FROM ferry_hold.posts;",
    "commit": "COMMIT; DELETE FROM public.posts;",
    "read": "PERFORM FROM ferry_hold.posts;",
    "read a key": "CREATE TABLE public.known AS SELECT * FROM ferry.runs;",
    "lock": "PERFORM FROM ferry_hold.posts FOR UPDATE;",
    "put off": "CREATE TABLE public.off (x int); " + LATER.replace("%s", "public"),
    "put off twice": "CREATE TABLE public.off (x int); "
    + LATER.replace("%s", "public").replace("BEGIN DELETE", "BEGIN SET CONSTRAINTS ALL DEFERRED; DELETE"),
    "put off, temporary": "CREATE TEMP TABLE off (x int); " + LATER.replace("%s", "pg_temp"),
    "put off in a constraint": "CREATE TABLE public.off (x int, EXCLUDE ((public.later(x)) WITH =) DEFERRABLE "
    "INITIALLY DEFERRED); INSERT INTO public.off VALUES (1), (1);",
    "cursor": "EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT public.later(1)';",
}


UNLIKE = {
    "commit": "invalid transaction termination",
    "rename": "duplicate key",
}
"""Deeds that the server itself refuses, and one whose rows would go to the live tables, were it not rolled back."""


@pytest.fixture
def furnished(site: Room) -> Room:
    """Live tables, a control area, and a schema of somebody else."""
    site.execute(
        "CREATE SCHEMA ferry; CREATE TABLE ferry.runs (id int); INSERT INTO ferry.runs VALUES (1);"
        "CREATE SCHEMA aside; CREATE TABLE aside.rows (id int); INSERT INTO aside.rows VALUES (1);"
        "CREATE FUNCTION aside.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    site.execute(CODE.format(filler=FILLER))
    return site


def with_code(room: Room, way: str, deed: str) -> Path:
    """A backup of which one way leads to code that does a deed, where a plain one would make nothing of it."""
    room.execute(WAYS[way])
    dump = plain_dump(room.target, room.directory / "backup.dump")
    return forge(dump, f"-- {FILLER}", disguised(deed))


def disguised(deed: str) -> str:
    """Code that no look at it gives away, and that is run once, and not for each row."""
    code = f"DO $x$BEGIN {deed.replace('ferry_hold', '@')} END$x$ "
    run = f"EXECUTE replace($y${code}$y$, '@', 'ferry_' || 'hold');"
    first = "IF current_setting('evil.done', true) IS NULL THEN PERFORM set_config('evil.done', '1', false);"
    return f"{first} {run} END IF;"


@pytest.mark.parametrize("way", WAYS)
def test_whatever_leads_to_code_nothing_of_it_stays(furnished: Room, way: str) -> None:
    dump = with_code(furnished, way, "DELETE FROM ferry_hold.posts WHERE id < 10;")
    refused(furnished, dump, "its own code reaches posts")
    assert ask(furnished, "SELECT count(*) FROM posts") == [50]


def test_whatever_code_does_elsewhere_is_seen(furnished: Room) -> None:
    dump = with_code(furnished, "check", DEEDS["delete"])
    whole = dump.read_bytes()
    done = disguised(DEEDS["delete"])
    for name, deed in DEEDS.items():
        dump.write_bytes(whole)
        # What was blanks is room again.
        forge(dump, done.ljust(len(FILLER) + 3), disguised(deed))
        try:
            refused(furnished, dump, UNLIKE.get(name, "its own code"))
            assert ask(furnished, "SELECT count(*) FROM aside.rows, ferry.runs, LATERAL aside.f() f WHERE f = 1") == [1]
        except BaseException:
            print(name)
            raise


@pytest.mark.parametrize("look_s", [0.0, restore.LOOK_S])
def test_code_that_stays_within_its_schema_is_run(
    furnished: Room, monkeypatch: pytest.MonkeyPatch, look_s: float
) -> None:
    monkeypatch.setattr(restore, "LOOK_S", look_s)
    furnished.execute(
        "CREATE FUNCTION rates() RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int FROM public.tags';"
        "CREATE TABLE z (x int CHECK (x <= public.rates())); INSERT INTO z VALUES (1);"
        "CREATE MATERIALIZED VIEW m AS SELECT public.rates() AS n; CREATE TABLE u (id int);"
        "ALTER TABLE aside.rows ADD PRIMARY KEY (id); ALTER TABLE u ADD FOREIGN KEY (id) REFERENCES aside.rows"
    )
    dump = plain_dump(furnished.target, furnished.directory / "backup.dump")
    furnished.dialect.restore(dump, furnished.other("back"))
    furnished.dialect.copy(furnished.target, furnished.other("copy"), timeout_s=5)
    for name in ("back", "copy"):
        assert furnished.state(furnished.other(name)) == furnished.state()


def test_code_of_a_former_generation_may_read_what_is_live(furnished: Room) -> None:
    """It spells the name of the schema that it lay in."""
    furnished.execute(
        "CREATE FUNCTION rates(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT count(*)::int FROM public.tags';"
        "CREATE TABLE z (x int CHECK (x <= public.rates(x))); INSERT INTO z VALUES (1);"
        "CREATE INDEX ON z (public.rates(x))"
    )
    furnished.dialect.copy(furnished.target, furnished.other("one"), timeout_s=5)
    old = swap(furnished, furnished.other("one"))
    furnished.dialect.copy(old, furnished.other("two"), timeout_s=5)
    furnished.dialect.fit_staging(furnished.other("two"), furnished.target)
    assert furnished.state(furnished.other("two")) == furnished.state(old) == furnished.state()


def test_what_code_locks_is_let_go_before_the_end(furnished: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the application would wait for as long as a restore takes."""
    monkeypatch.setattr(restore, "LOOK_S", 0.0)
    dump = with_code(furnished, "check", "LOCK TABLE ferry_hold.posts;")
    monkeypatch.setattr(Watch, "check", lambda _: pytest.fail("it was seen at the end only"))
    refused(furnished, dump, "its own code reaches posts")


def test_what_the_administrators_event_triggers_write_is_theirs(owned: Room) -> None:
    owned.execute(SITE)
    owned.execute(
        "CREATE SCHEMA aside; CREATE TABLE aside.log (tag text); CREATE FUNCTION aside.note() RETURNS event_trigger "
        "LANGUAGE plpgsql AS 'BEGIN INSERT INTO aside.log VALUES (tg_tag); END';"
        "CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION aside.note()"
    )
    owned.dialect.restore(owned.dump(owned.directory / "dump"), owned.other("back"))
    assert owned.state(owned.other("back")) == owned.state()
    assert ask(owned, "SELECT count(*) > 5 FROM aside.log") == [True]


def test_a_superusers_code_that_switches_the_counters_off_is_seen(owned: Room) -> None:
    owned.execute(SITE)
    owned.execute(CODE.format(filler=FILLER))
    dump = with_code(owned, "check", "SET track_counts = off; DELETE FROM ferry_hold.posts;")
    refused(owned, dump, "its own code reaches posts")


def test_functions_in_languages_of_superusers_only_where_they_are_there(owned: Room) -> None:
    owned.execute(SITE)
    owned.execute("CREATE FUNCTION size(text) RETURNS int LANGUAGE internal AS 'textlen'")
    dump = owned.dump(owned.directory / "dump")
    owned.dialect.restore(dump, owned.other("back"))
    owned.dialect.copy(owned.target, owned.other("copy"), timeout_s=5)
    assert ask(owned, "SELECT size('abc')", url=owned.other("back")) == [3]
    owned.dialect.drop(owned.other("back"))
    owned.dialect.drop(owned.other("copy"))
    owned.execute("DROP FUNCTION size")
    refused(owned, dump, "makes a function in internal")


def test_code_that_waits_for_the_first_look_at_the_rows_is_seen(furnished: Room) -> None:
    furnished.execute(
        "CREATE TABLE t (x int); INSERT INTO t SELECT generate_series(1, 100); CREATE INDEX ON t (later(x));"
        "CREATE OR REPLACE FUNCTION late() RETURNS int LANGUAGE plpgsql AS $$BEGIN "
        "IF to_regnamespace('ferry_' || 'hold') IS NULL AND to_regnamespace('ferry_staging_back') IS NOT NULL "
        "THEN PERFORM setval('public.posts_id_seq', 7); "
        "DELETE FROM public.posts; END IF; RETURN 1; END$$"
    )
    dump = plain_dump(furnished.target, furnished.directory / "backup.dump")
    before = furnished.everything(), ask(furnished, "SELECT last_value FROM posts_id_seq")
    furnished.dialect.restore(dump, furnished.other("back"))
    with pytest.raises(BackupFailed, match=r"its own code reaches public\.posts"):
        furnished.dialect.fit_staging(furnished.other("back"), furnished.target)
    assert furnished.dialect.problems(furnished.other("back")) == []
    assert furnished.state(furnished.other("back"))["posts"] == furnished.state()["posts"]
    assert (furnished.everything(), ask(furnished, "SELECT last_value FROM posts_id_seq")) == before


# What is left where a restore ends


def test_nothing_is_left_of_a_killed_restore(site: Room) -> None:
    site.execute("CREATE TABLE large AS SELECT i, repeat('x', 300) AS t FROM generate_series(1, 150000) i")
    site.execute("ALTER TABLE large ADD PRIMARY KEY (i)")
    dump = plain_dump(site.target, site.directory / "backup.dump")
    program = (
        "import sys; from pathlib import Path; from sqlalchemy import make_url; from app.dialects import dialect_for\n"
        "url = make_url(sys.argv[1]); dialect = dialect_for(url, directory=Path(sys.argv[2]))\n"
        "print('ready', flush=True)\n"
        "dialect.restore(Path(sys.argv[3]), dialect.staging_url(url, 'back'))"
    )
    url = site.target.render_as_string(hide_password=False)
    with untouched(site):
        for moment in ("SELECT", "COPY", "COPY", "ALTER"):
            process = subprocess.Popen(
                [sys.executable, "-c", program, url, str(site.directory), str(dump)], stdout=subprocess.PIPE
            )
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            _wait_until(site, f"SELECT count(*) > 0 {AT_WORK} AND backend_xid IS NOT NULL AND query LIKE '{moment}%%'")
            process.send_signal(signal.SIGKILL)
            assert process.wait(timeout=30) == -signal.SIGKILL
            process.stdout.close()
            _wait_for_the_last_session(site)


AT_WORK = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def _wait_for_the_last_session(room: Room) -> None:
    _wait_until(room, f"SELECT count(*) = 0 {AT_WORK}")


def _wait_until(room: Room, query: str) -> None:
    deadline = time.monotonic() + 30
    with room.connect() as connection:
        while not connection.exec_driver_sql(query).scalar():
            assert time.monotonic() < deadline, query
            connection.rollback()
            time.sleep(0.005)


def test_nothing_is_left_where_the_connection_is_cut(site: Room) -> None:
    dump = plain_dump(site.target, site.directory / "backup.dump")
    cuts = 0
    for cut_after in range(2_000, 60_000, 1_000):
        with Proxy(int(site.target.port or 0)) as proxy, untouched(site):
            url = site.target.set(port=proxy.port)
            dialect = dialect_for(url, directory=site.directory)
            proxy.cut_after = cut_after
            with contextlib.suppress(DatabaseUnreachable):
                dialect.restore(dump, dialect.staging_url(url, "back"))
            site.dialect.drop(site.other("back")) if not proxy.cuts else _wait_for_the_last_session(site)
        if not proxy.cuts:
            break
        cuts += 1
    assert cuts >= 5


def test_nothing_is_left_where_the_server_is_killed(tmp_path: Path) -> None:
    server = PostgreSQL("autovacuum=off")
    server.prepare()
    server.start()
    try:
        with superuser_room(server, tmp_path) as room:
            room.execute(SITE)
            room.execute("CREATE TABLE large AS SELECT i, repeat('x', 300) AS t FROM generate_series(1, 150000) i")
            dump = plain_dump(room.target, tmp_path / "backup.dump")
            # What is given out of a sequence is logged ahead: a crash skips some, but for this.
            server.execute("CHECKPOINT")
            before = look(room)

            def kill() -> None:
                _wait_until(room, f"SELECT count(*) > 0 {AT_WORK} AND backend_xid IS NOT NULL AND query LIKE 'COPY%%'")
                server.kill()

            thread = threading.Thread(target=kill)
            thread.start()
            with pytest.raises((DatabaseUnreachable, BackupFailed)):
                room.dialect.restore(dump, room.other("back"))
            thread.join()
            server.start()
            assert look(room) == before
    finally:
        server.stop()


def test_a_forged_live_schema_is_not_copied_by_its_code(furnished: Room) -> None:
    """The live schema's own code may be as bad, and a copy or a carried table would run it."""
    furnished.execute(WAYS["check"])
    furnished.execute(
        "CREATE OR REPLACE FUNCTION evil() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN "
        "IF to_regnamespace('ferry_' || 'hold') IS NOT NULL THEN EXECUTE 'DELETE FROM ferry_' || 'hold.posts'; END IF; "
        "RETURN true; END $$"
    )
    with untouched(furnished), pytest.raises(ToolFailed, match="reaches posts"):
        furnished.dialect.copy(furnished.target, furnished.other("copy"), timeout_s=5)
    staging = furnished.other("one")
    furnished.dialect.prepare_staging(staging, furnished.target)
    before, schemas = furnished.everything(), ask(furnished, "SELECT nspname FROM pg_namespace")
    with pytest.raises(DoesNotFit, match="reaches posts"):
        furnished.dialect.carry(furnished.target, staging, ["t"])
    assert furnished.everything() == before
    assert ask(furnished, "SELECT nspname FROM pg_namespace") == schemas
