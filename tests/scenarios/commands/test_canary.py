"""Secrets stand in every setting that can hold one; then every command runs, and none is found anywhere after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL
from werkzeug.security import generate_password_hash

from app.commands import bp
from tests.scenarios.commands.canary import Recorder, Search, canary, encoded
from tests.scenarios.export import otherhost
from tests.support.deployment import words
from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import Settings
from tests.support.local import Local
from tests.support.places import ServerSite, new_name, spell
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.serving import Server
from tests.support.site import Result, Site
from tests.support.sources.sites import flask as in_process

TARGETS = ("sqlite", "mariadb", "postgresql")

SETTINGS = {
    "SECRET_KEY": canary("secret_key") + "x" * 32,
    "RATELIMIT_STORAGE_URI": f"memory://:{encoded('ratelimit')}@store",
    "FLASK_FERRY_BACKUP_KEY": canary("backup_key"),
    "FLASK_FERRY_PROFILE_KEY": canary("profile_key"),
    # Of the host and of other programs: a child of ours is given none of them.
    "PGPASSWORD": canary("pgpassword"),
    "PGBACKREST_REPO1_CIPHER_PASS": canary("elsewhere"),
    "MYSQL_PWD": canary("mysql_pwd"),
    "ADMIN_PASSWORD": canary("old_admin"),
    "SENDGRID_TOKEN": canary("elsewhere"),
}
"""Of every command."""

CLASSIC, EXPORT, DATABASE, WITHOUT = "an old deployment", "an export", "a database", "a database, the password apart"

SUCCESSES: tuple[tuple[str, str], ...] = (
    # What is typed (without "flask"), and which source the environment names.
    ("db-init --yes -v --report {report}", ""),
    ("db-migrate-data {old} --yes --dry-run", ""),
    ("db-migrate-data {old} --yes -v", ""),
    ("db-migrate-data --yes --rerun --accept-missing --json --report {report}", CLASSIC),
    ("db-migrate-data --yes --rerun -v", EXPORT),
    ("db-migrate-data --yes --rerun --json", DATABASE),
    ("db-migrate-data --yes --rerun --dry-run", WITHOUT),
    ("db-migrate-data {snapshot} --yes --rerun --dry-run --json", ""),
    ("db-migrate-data self --yes -v", ""),
    ("db-verify -v", ""),
    ("db-verify --json --against {old}", ""),
    ("db-backup -v --report {report}", ""),
    ("db-backup --portable --json", ""),
    ("db-backup --client", ""),
    ("db-backup --list", ""),
    ("db-backup --list --json", ""),
    ("db-backup --check", ""),
    ("db-restore --yes -v", ""),
    ("db-rollback --yes --json --report {report}", ""),
    ("db-adopt -v", ""),
    ("db-status", ""),
    ("db-status --json", DATABASE),
    ("db-status --check", CLASSIC),
)

REFUSED_ARGUMENTS = (
    f"mysql://me:an@{encoded('half')}@127.0.0.1:9/old",
    f"https://old.example/?token=an@{encoded('half')}",
    f"https://me:{encoded('refused_userinfo')}@old.example",
    f"https://old.example/?token={encoded('token')}",
    f"https://old.example/#{encoded('token')}",
    f"http://old.example/?token={encoded('token')}",
    f"postgresql://me:{encoded('refused_userinfo')}@127.0.0.1:9/old",
    f"postgresql://me@127.0.0.1:9/old?password={encoded('refused_query')}",
    f"postgresql://me@127.0.0.1:9/old?sslpassword={encoded('sslpassword')}",
    f"mysql://me@127.0.0.1:9/old?passwd={encoded('passwd')}",
    f"mysql://me:{encoded('refused_userinfo')}@[",
    f"sqlite:///{{old}}?password={encoded('refused_query')}",
    f"oracle://me:{encoded('refused_userinfo')}@127.0.0.1/old?token={encoded('token')}",
)
"""As SOURCE, as --against and as FERRY_SOURCE."""

BROKEN_DATABASES = (
    ("db-status -v", "postgresql://canary:{wrong_password}@127.0.0.1:{postgresql}/postgres"),
    ("db-backup", "postgresql://canary:{account}@127.0.0.1:9/shop?sslpassword={sslpassword}"),
    ("db-status", "postgresql://canary:{account}@127.0.0.1:{postgresql}/absent?no_such_option={driver}"),
    ("db-verify --json", "postgresql://canary@127.0.0.1:{postgresql}/postgres?password={wrong_password}"),
    ("db-migrate-data {old} --yes --json", "mysql://canary:{wrong_password}@127.0.0.1:{mariadb}/shop"),
    ("db-restore --yes -v", "mysql://canary:{account}@127.0.0.1:9/shop?passwd={passwd}"),
    ("db-rollback --yes", "mysql://canary@127.0.0.1:{mariadb}/shop?passwd={passwd}"),
    ("db-status --json", "mysql://canary:{account}@127.0.0.1:{mariadb}/absent?no_such_option={driver}"),
    ("db-init --yes", "mysql://canary:an@{half}@127.0.0.1:9/shop"),
    ("db-init --yes", "postgresql://canary:an@{half}@127.0.0.1:9/shop"),
)
"""What is typed, and the own database: wrong passwords, servers that are not there, options that no driver knows."""

NO_DATABASES = ("mysql://canary:{account}@[/shop", "nothing://canary:{account}@127.0.0.1/shop")
"""With these no app is made at all."""

BROKEN_SOURCES = (
    ("{classic}", "wrong_password"),
    ("http://127.0.0.1:9", "source_account"),
    ("{export}", "wrong_password"),
    *((url, "wrong_password") for _, url in BROKEN_DATABASES),
)
"""What FERRY_SOURCE names, and the password beside it."""

CALLED: dict[str, set[str]] = {
    "sqlite": set(),
    "mariadb": {"mariadb-dump", "mariadb"},
    "postgresql": {"pg_dump", "pg_restore"},
}
"""The programs that were called for each target, and so were seen."""
ALLOWED = {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "PGSERVICEFILE", "PWD", "TMPDIR", "TZ", "USER"}
FAMILIES = ("LC_", "SSL_CERT_", "KRB5")
"""Names that a child's environment may have."""


@pytest.fixture(scope="module")
def servers(mariadb: MariaDB, postgresql: PostgreSQL) -> Iterator[dict[str, URL]]:
    """An account on each server, whose password is a canary, and a URL of no database."""
    password = canary("account")
    mariadb.execute("CREATE USER canary@'127.0.0.1' IDENTIFIED BY %s", password)
    mariadb.execute("GRANT ALL ON *.* TO canary@'127.0.0.1'")
    literal = password.replace("'", "''")
    postgresql.execute(f"SET standard_conforming_strings = on; CREATE ROLE canary LOGIN CREATEDB PASSWORD '{literal}'")
    yield {
        "mariadb": mariadb.url(None, user="canary", password=password),
        "postgresql": postgresql.url(None, user="canary", password=password).update_query_dict(
            {"sslpassword": canary("sslpassword")}
        ),
    }
    mariadb.execute("DROP USER canary@'127.0.0.1'")


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory, old: Path) -> Iterator[Deployment]:
    """An old deployment whose admin's password is a canary."""
    with Deployment(tmp_path_factory.mktemp("classic"), Settings(cheap=True), database=old) as started:
        hashed = generate_password_hash(canary("source_account"), method="pbkdf2:sha256:1000")
        started.execute("UPDATE users SET _password = ? WHERE _uid = ?", hashed, words.ADMIN_UID)
        yield started


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, old: Path) -> Iterator[Server]:
    """A host at head that serves the export, checked by HTTP Basic."""
    directory = tmp_path_factory.mktemp("export")
    Local(directory).ok("db-migrate-data", str(old), "--yes")
    environ = Local(directory).env(PYTHONWARNINGS="")
    with Server("tests.scenarios.export.otherhost:create_app()", environ, directory / "server.log") as started:
        yield started


class Searched:
    """A deployed app whose commands are run, and searched after each.

    :ivar names: what a command or a setting may name.
    """

    def __init__(self, site: Site, directory: Path, names: dict[str, str], log: pytest.LogCaptureFixture) -> None:
        self.site, self.names, self.log = site, names, log
        self.recorder = Recorder(directory)
        self.search = Search([])
        log.set_level("DEBUG")
        # Statements and rows: an application's choice, and most of the time of these tests.
        log.set_level("WARNING", "sqlalchemy")
        site.environ |= SETTINGS | {"PATH": self.recorder.path(os.environ)}

    def run(self, typed: str, **environ: str) -> Result:
        """Run a command and look at what it said and logged."""
        arguments = typed.format(**self.names).split(" ")
        self.log.clear()
        result = in_process(self.site, *arguments, **environ)
        return self.seen(typed, result)

    def seen(self, typed: str, result: Result) -> Result:
        """Look at what a command said and logged."""
        self.search.text(f"stdout of {typed}", result.stdout)
        self.search.text(f"stderr of {typed}", result.stderr)
        self.search.text(f"log of {typed}", self.log.text)
        return result

    def assert_nothing_found(self, *databases: URL) -> None:
        """Look at all that was written and at all programs that were called."""
        self.search.files(self.site.directory)
        self.search.files(self.recorder.records)
        for url in databases:
            self.search.rows(url)
        assert self.search.found == []


def source_of(kind: str, classic: Deployment, export: Server, database: URL) -> dict[str, str]:
    """The environment that names a source."""
    if kind == CLASSIC:
        return _source(classic.url, words.ADMIN_UID, canary("source_account"))
    if kind == EXPORT:
        return _source(export.url, otherhost.UID, otherhost.PASSWORD)
    if kind == DATABASE:
        return _source(spell(database), "nobody", canary("source_account"))
    if kind == WITHOUT:
        bare = database.set(password=None).render_as_string()
        return _source(bare, "nobody", str(database.password))
    return {}


def _source(url: str, uid: str, password: str) -> dict[str, str]:
    return {
        "FLASK_FERRY_SOURCE": url,
        "FLASK_FERRY_SOURCE_UID": uid,
        "FLASK_FERRY_SOURCE_PASSWORD": password,
    }


def deploy(directory: Path, target: str, servers: dict[str, URL]) -> Site:
    directory.mkdir()
    if target == "sqlite":
        return Site(directory, {"FLASK_INSTANCE_PATH": str(directory)})
    return ServerSite(directory, url=servers[target].set(database=new_name()))


@pytest.fixture
def source_database(servers: dict[str, URL], old: Path, request: pytest.FixtureRequest) -> URL:
    """A database at head on the other server than the target's."""
    target = request.getfixturevalue("target")
    url = servers["mariadb" if target == "postgresql" else "postgresql"].set(database=new_name())
    directory = request.getfixturevalue("tmp_path") / "other"
    directory.mkdir()
    done = in_process(ServerSite(directory, url=url), "db-migrate-data", str(old), "--yes")
    assert done.status == 0, done.stderr
    return url


def test_every_command_is_run() -> None:
    assert {typed.partition(" ")[0] for typed, _ in SUCCESSES} == set(bp.cli.commands)


@pytest.mark.parametrize("target", TARGETS)
def test_no_command_shows_or_keeps_a_secret(
    target: str,
    servers: dict[str, URL],
    classic: Deployment,
    export: Server,
    source_database: URL,
    old: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = deploy(tmp_path / "site", target, servers)
    names = {"old": str(old), "snapshot": str(site.snapshot), "report": str(site.directory / "report.json")}
    searched = Searched(site, tmp_path, names, caplog)
    for typed, kind in SUCCESSES:
        if target != "sqlite" and (kind in (CLASSIC, EXPORT) or "--dry-run" in typed):
            continue  # What they do does not depend on the target.
        result = searched.run(typed, **source_of(kind, classic, export, source_database))
        # The app has revisions already.
        refused = typed.startswith("db-adopt") or ("--client" in typed and target != "mariadb")
        may_differ = "--against" in typed or "--check" in typed
        assert result.status == 0 or refused or may_differ, f"{typed}: {result.stderr}{result.stdout}"
    used = [source_database] + ([site.url] if isinstance(site, ServerSite) else [])
    searched.assert_nothing_found(*used)
    assert searched.recorder.called() == CALLED[target]
    assert searched.recorder.modes() <= {"600"}
    assert not {name for name in searched.recorder.environment_names() - ALLOWED if not name.startswith(FAMILIES)}


@pytest.mark.parametrize("against", ["db-migrate-data {} --yes", "db-migrate-data {} --json", "db-verify --against {}"])
def test_no_secret_of_a_refused_url_is_repeated(
    against: str, old: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = deploy(tmp_path / "site", "sqlite", {})
    searched = Searched(site, tmp_path, {"old": str(old)}, caplog)
    searched.run("db-init --yes")
    for url in REFUSED_ARGUMENTS:
        searched.run(against.format(url))
        searched.run("db-migrate-data -v", FLASK_FERRY_SOURCE=url.format(old=old))
    searched.assert_nothing_found()


def test_no_secret_of_a_source_that_fails_is_repeated(
    servers: dict[str, URL],
    classic: Deployment,
    export: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = deploy(tmp_path / "site", "sqlite", {})
    searched = Searched(site, tmp_path, {}, caplog)
    places = {"classic": classic.url, "export": export.url} | ports(servers)
    for url, password in BROKEN_SOURCES:
        environ = _source(url.format(**places, **secrets()), "somebody", canary(password))
        for typed in ("db-migrate-data --yes -v", "db-status --json"):
            result = searched.run(typed, FLASK_FERRY_TIMEOUT="0.3", **environ)
            assert result.status or typed.startswith("db-status"), f"{url}: {result.stdout}"
    searched.assert_nothing_found()


def test_no_secret_of_a_database_that_fails_is_repeated(
    servers: dict[str, URL], old: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = deploy(tmp_path / "site", "sqlite", {})
    searched = Searched(site, tmp_path, {"old": str(old)}, caplog)
    for typed, url in BROKEN_DATABASES:
        searched.run(typed, DATABASE_URL=url.format(**ports(servers), **secrets()))
    for url in NO_DATABASES:
        result = searched.seen(url, Site.flask(site, "db-status", DATABASE_URL=url.format(**secrets())))
        assert result.status, result.stdout
    searched.assert_nothing_found()


def ports(servers: dict[str, URL]) -> dict[str, str]:
    return {name: str(url.port) for name, url in servers.items()}


def secrets() -> dict[str, str]:
    """Those of broken databases, as they stand in a URL."""
    return {word: encoded(word) for word in ("account", "wrong_password", "sslpassword", "passwd", "driver", "half")}
