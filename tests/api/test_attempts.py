"""How many passwords may be tried, however a uid is spelled and however many addresses somebody has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from limits import parse_many
from werkzeug.http import parse_cookie

from app import create_app
from app.api import attempts
from app.api.attempts import DEVICE, network, spelling
from app.config import ConfigurationError
from app.extensions import db, limiter
from app.models import User
from tests.support.places import new_name
from tests.support.servers.mariadb import ON_MYSQL

from .sites import KEY, SERVERS, Guesser, log_in, seed_cheaply

pytestmark = [
    pytest.mark.usefixtures("cheap_dummy"),
    # The timer of limits' memory looks up what another thread has just taken out (5.8, once in a loaded suite).
    pytest.mark.filterwarnings("ignore:Exception in thread:pytest.PytestUnhandledThreadExceptionWarning"),
]

GOOD = "123Toby!"
BLANKS = [f"toby{' ' * count}" for count in (1, 2, 60, 5000)]
FOLDED = ["TOBY", "Toby", "tóby", "tòbÿ", "ｔｏｂｙ", "to\u200bby", "toby\t", " toby", "t\u0301oby", "𝐭𝐨𝐛𝐲"]
SPELLINGS = ["toby", *BLANKS, *FOLDED]

COLLATION = {
    "mariadb": "ALTER TABLE users MODIFY uid VARCHAR(255) CHARACTER SET utf8mb4 COLLATE"
    f" utf8mb4_{'0900' if ON_MYSQL else 'uca1400'}_ai_ci NOT NULL",
    "postgresql": "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level1', deterministic = false);"
    "ALTER TABLE users ALTER uid TYPE VARCHAR(255) COLLATE folded",
    "sqlite": "",
}
"""Makes a server's column take spellings for equal."""


@pytest.fixture(scope="module", params=[(server, folds) for server in SERVERS for folds in (False, True)], ids=str)
def _anywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app on each server, with the table as its revisions make it, and with a collation that folds.

    Nothing is written here, so that one does for all.
    """
    server, folds = request.param
    url = f"sqlite:///{tmp_path_factory.mktemp('anywhere') / 'app.db'}"
    if server != "sqlite":
        url = request.getfixturevalue(server).url(new_name())
        request.getfixturevalue(server).execute(f"CREATE DATABASE {url.database}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLASK_SKIP_DOTENV", "1")
        app = create_app({"SQLALCHEMY_DATABASE_URI": url, "SECRET_KEY": KEY, "FOLDS": folds and server != "sqlite"})
    with app.app_context():
        db.create_all()
        with db.engine.connect() as connection, connection.begin():
            for statement in fold(connection, server) if folds else ():
                connection.exec_driver_sql(statement)
        seed_cheaply()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def anywhere(_anywhere: Flask) -> Flask:
    """The same app, when nobody has guessed yet."""
    limiter.reset()
    return _anywhere


def fold(connection: sa.Connection, server: str) -> list[str]:
    if server != "sqlite":
        return COLLATION[server].split(";")
    (table,) = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE name = 'users'").one()
    folded = table.replace("uid VARCHAR(255)", "uid VARCHAR(255) COLLATE NOCASE")
    assert folded != table
    return ["PRAGMA foreign_keys = OFF", "DROP TABLE users", folded]


def test_spellings_of_an_account_share_its_attempts(anywhere: Flask) -> None:
    guesser = Guesser(anywhere)
    assert guesser.guesses(*islice(cycle(SPELLINGS), 25)) == [401] * 10 + [429] * 15
    assert {guesser.guess(uid, GOOD) for uid in SPELLINGS} == {429}
    assert guesser.guess("niko", "123Niko!") == 200


def test_a_spelling_that_the_server_alone_takes_for_equal_shares_them_too(anywhere: Flask) -> None:
    """No folding of ours knows all collations: it is the account found that is counted."""
    odd = "tøby"
    assert spelling(odd) != spelling("toby")
    with anywhere.app_context():
        equal = db.session.scalar(sa.select(User.uid).where(User.uid == odd)) == "toby"
    assert equal == anywhere.config["FOLDS"]
    Guesser(anywhere).guesses(*[odd] * 10)
    assert Guesser(anywhere).guess("toby", GOOD) == (429 if equal else 200)
    assert Guesser(anywhere).guess(odd, GOOD) == 429


def test_a_locked_account_is_limited_as_any_other(anywhere: Flask) -> None:
    guesser = Guesser(anywhere)
    assert guesser.guesses(*islice(cycle(["guest", "GUEST", "guest "]), 12)) == [401] * 10 + [429] * 2


def test_no_other_spelling_opens_an_account(anywhere: Flask) -> None:
    for uid in SPELLINGS[1:]:
        limiter.reset()
        assert Guesser(anywhere).guess(uid, GOOD) == 401, uid
    assert Guesser(anywhere).guess("toby", GOOD) == 200


def test_counts_do_not_tell_which_spelling_exists(anywhere: Flask) -> None:
    """A uid that nobody has is refused at the same attempts as one that somebody has."""
    known = [*SPELLINGS[::-1], "toby"]
    unknown = [uid.replace("b", "d").replace("B", "D").replace("ｂ", "ｄ").replace("𝐛", "𝐝") for uid in known]
    assert Guesser(anywhere).guesses(*known) == Guesser(anywhere, "192.0.2.2").guesses(*unknown)


def test_what_spellings_have_in_common() -> None:
    assert {spelling(uid) for uid in SPELLINGS} == {"toby"}
    assert len({spelling(uid) for uid in ("", "toby", "niko", "to by", "😀", "🎉", "משה", "李", "a/b?c&d#e")}) == 9
    assert spelling("STRASSE") == spelling("straße")
    assert spelling("\ud800\0") == "\ud800"


# Addresses


def test_a_guesser_elsewhere_is_counted_by_himself(app: Flask) -> None:
    one, other = Guesser(app, "192.0.2.1"), Guesser(app, "192.0.2.2")
    assert one.guesses(*["toby"] * 11)[-1] == 429
    assert other.guess("toby", GOOD) == 200


def test_many_addresses_together_are_limited_for_each_account(app: Flask) -> None:
    statuses = [Guesser(app, f"192.0.2.{number}").guess("toby") for number in range(35)]
    assert statuses == [401] * 30 + [429] * 5
    assert Guesser(app, "198.51.100.1").guess("toby", GOOD) == 429
    assert Guesser(app, "192.0.2.1").guess("niko", "123Niko!") == 200


def test_one_address_is_limited_over_all_accounts(app: Flask) -> None:
    guesser = Guesser(app)
    statuses = [guesser.guess(f"somebody {number}") for number in range(65)]
    assert statuses == [401] * 60 + [429] * 5
    assert guesser.guess("toby", GOOD) == 429
    assert Guesser(app, "192.0.2.2").guess("toby", GOOD) == 200


def test_attempts_that_were_refused_are_not_counted(app: Flask) -> None:
    """Otherwise whoever goes on and on at one account would shut his whole school out."""
    guesser = Guesser(app)
    assert guesser.guesses(*["toby"] * 100)[10:] == [429] * 90
    assert guesser.guess("niko", "123Niko!") == 200
    assert Guesser(app, "192.0.2.2").guess("toby", GOOD) == 200


def test_attempts_refused_for_their_address_are_not_counted_for_the_account(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PER_ADDRESS", parse_many("2 per minute"))
    monkeypatch.setattr(attempts, "PER_ACCOUNT", parse_many("5 per minute"))
    for number in range(3):
        guesser = Guesser(app, f"192.0.2.{number}")
        assert guesser.guesses("one", "another", *["toby"] * 3) == [401] * 2 + [429] * 3
    assert Guesser(app, "198.51.100.1").guess("toby", GOOD) == 200


def test_the_addresses_of_one_customer() -> None:
    assert network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff::") != network("2001:db8:1:3::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") != network("192.0.2.2")
    assert (network(None), network("a socket"), network("fe80::1%eth0")) == ("", "a socket", "fe80::/64")


def test_many_at_once_try_no_more_than_one_after_the_other(app: Flask) -> None:
    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(Guesser(app).guess, ["toby"] * 60))
    assert statuses.count(401) == 10
    assert statuses.count(429) == 50


def test_right_passwords_cost_nothing(app: Flask) -> None:
    guesser = Guesser(app)
    assert {guesser.guess("toby", GOOD) for _ in range(12)} == {200}
    assert guesser.guesses(*["toby"] * 11) == [401] * 10 + [429]


# Devices that are known


def test_a_guesser_does_not_lock_out_the_owner(app: Flask) -> None:
    owner, address = app.test_client(), "192.0.2.1"
    assert log_in(owner, "toby", GOOD, address).status_code == 200
    for number in range(31):
        Guesser(app, f"198.51.100.{number}").guess("toby")
    Guesser(app, address).guesses(*["toby"] * 12)  # from his own address, too
    assert Guesser(app, "203.0.113.1").guess("toby", GOOD) == 429
    assert log_in(owner, "toby", GOOD, address).status_code == 200
    assert log_in(owner, "toby", GOOD, "203.0.113.2").status_code == 200


def test_a_known_device_is_limited_by_itself(app: Flask) -> None:
    device = app.test_client()
    log_in(device, "toby", GOOD)
    # A new cookie at each log-in goes on with the count of the first.
    statuses = [log_in(device, "toby", "guess").status_code for _ in range(5)]
    assert log_in(device, "toby", GOOD).status_code == 200
    statuses += [log_in(device, "toby", "guess").status_code for _ in range(6)]
    assert statuses == [401] * 10 + [429]
    assert Guesser(app).guess("toby", GOOD) == 200


def test_a_device_is_known_to_one_account_and_one_password(app: Flask) -> None:
    device = app.test_client()
    log_in(device, "niko", "123Niko!")
    Guesser(app).guesses(*["toby"] * 10)
    Guesser(app).guesses(*["niko"] * 10)
    assert log_in(device, "toby", GOOD, "192.0.2.1").status_code == 429
    assert log_in(device, "niko", "123Niko!", "192.0.2.1").status_code == 200
    with app.app_context():
        db.session.get_one(User, 3).set_password("123Niko!")
        db.session.commit()
    assert log_in(device, "niko", "123Niko!", "192.0.2.1").status_code == 429


@pytest.mark.parametrize("change", [lambda old: old[:-1], lambda old: "x" + old, lambda _: "ü", lambda _: "a.b.c"])
def test_a_cookie_that_nobody_signed_makes_no_device_known(app: Flask, change: Callable[[str], str]) -> None:
    device = app.test_client()
    log_in(device, "toby", GOOD)
    cookie = device.get_cookie(DEVICE, path="/api/authenticate")
    assert cookie
    device.set_cookie(DEVICE, change(cookie.value), path="/api/authenticate")
    Guesser(app).guesses(*["toby"] * 10)
    assert log_in(device, "toby", GOOD, "192.0.2.1").status_code == 429


def test_the_device_s_cookie_is_sent_to_the_log_in_only_and_opens_nothing(app: Flask) -> None:
    answer = log_in(app.test_client(), "toby", GOOD)
    (cookie,) = [text for text in answer.headers.getlist("Set-Cookie") if text.startswith(DEVICE)]
    assert {"HttpOnly", "Path=/api/authenticate", "SameSite=Lax"} <= {*cookie.split("; ")}
    value = parse_cookie(cookie)[DEVICE]
    assert app.test_client().get("/api/user", headers={"Authorization": f"Bearer {value}"}).status_code == 401
    assert "toby" not in value


# Where the counts are kept, and whose address it is


def proxied(app: Flask, uid: str, forwarded: str) -> int:
    given = {"uid": uid, "password": "guess"}
    return app.test_client().post("/api/authenticate", json=given, headers={"X-Forwarded-For": forwarded}).status_code


def test_behind_a_proxy_the_caller_s_own_address_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", "1")
    app = create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'app.db'}"})
    with app.app_context():
        db.create_all()
    # Only the last address is the proxy's word; what comes before is the caller's.
    statuses = [proxied(app, "nobody", f"203.0.113.{number}, 192.0.2.1") for number in range(11)]
    assert statuses == [401] * 10 + [429]
    assert proxied(app, "nobody", "192.0.2.2") == 401


def test_without_a_proxy_nobody_chooses_his_address(app: Flask) -> None:
    statuses = [proxied(app, "nobody", f"192.0.2.{number}") for number in range(11)]
    assert statuses == [401] * 10 + [429]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("TRUSTED_PROXIES", text) for text in ("-1", "two", "²", "9" * 5000)),
        *(("RATELIMIT_STORAGE_URI", text) for text in ("no://u:pw@h", "redis://u:pw@[", "pw")),
    ],
)
def test_settings_that_mean_nothing(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(ConfigurationError, match=key) as caught:
        create_app()
    assert "pw" not in str(caught.value)
