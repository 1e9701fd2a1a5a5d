"""Each key: option, environment, app.config, default, in that order; as text; wrong ones named with their origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.errors import Misconfigured
from app.transfer.run.settings import DEFAULTS, Settings, build_settings
from app.transfer.run.workers import count_by_itself

INSTANCE, DIRECTORY = Path("/srv/instance"), Path("/home/me")

# Key -> attribute, a text for each origin, and what the default comes to.
KEYS: dict[str, tuple[str, str, Any]] = {
    "FERRY_SOURCE": ("source", "https://{}", None),
    "FERRY_SOURCE_UID": ("source_uid", "uid-{}", None),
    "FERRY_SOURCE_PASSWORD": ("source_password", "secret-{}", None),
    "FERRY_SOURCE_TIME_ZONE": ("source_time_zone", "{}", None),
    "FERRY_SNAPSHOT": ("snapshot", "/{}.json", INSTANCE / "data.json"),
    "FERRY_BACKUPS": ("backups", "/{}", INSTANCE / "backups"),
    "FERRY_BACKUP_KEY": ("backup_key", "a long secret key {}", None),
    "FERRY_BACKUP_IDENTITY": ("backup_identity", "/{}.txt", None),
    "FERRY_STORAGE": ("storage", "s3://bucket/{}", None),
    "FERRY_KEEP": ("keep", "1{}", 5),
    "FERRY_KEEP_DAYS": ("keep_days", "1{}", None),
    "FERRY_FALLBACK": ("fallback", "1{}h", "7d"),
    "FERRY_ENVIRONMENT": ("environment", "{}", None),
    "FERRY_PROHIBIT": ("prohibited", "db-{}", frozenset()),
    "FERRY_SEED": ("seed", "seed{}:f", None),
    "FERRY_BIND": ("bind", "{}", None),
    "FERRY_DECLARATIONS": ("declarations", "/{}.toml", None),
    "FERRY_ADAPTERS": ("adapters", "adapters{}", None),
    "FERRY_FILES": ("files", "/{}", None),
    "FERRY_PROFILE": ("profile", "profile{}", None),
    "FERRY_PROFILES": ("profiles", "profiles{}", None),
    "FERRY_PROFILE_KEY": ("profile_key", "secret-key-{}", None),
    "FERRY_REHEARSED": ("rehearsed", "1{}h", None),
    "FERRY_HOOKS": ("hooks", "hooks:call_{}", None),
    "FERRY_TLS_CA": ("tls_ca", "/{}.pem", None),
    "FERRY_TIMEOUT": ("timeout_s", "1{}.5", 30.0),
    "FERRY_CONNECTIONS": ("connections", "1{}", 4),
    "FERRY_JOBS": ("jobs", "1{}", count_by_itself()),
    "FERRY_EXECUTOR": ("executor", "dask://127.0.0.1:1{}", None),
    "FERRY_THROTTLE": ("throttle", "1{}", None),
}
NUMBERED = {
    "FERRY_KEEP",
    "FERRY_KEEP_DAYS",
    "FERRY_FALLBACK",
    "FERRY_REHEARSED",
    "FERRY_TIMEOUT",
    "FERRY_CONNECTIONS",
    "FERRY_JOBS",
    "FERRY_EXECUTOR",
    "FERRY_THROTTLE",
}
NAMED = {
    "FERRY_ENVIRONMENT": ("production", "staging", "development"),
    "FERRY_SOURCE_TIME_ZONE": ("+02:00", "-11:30", "+00:00"),
}


def build(
    config: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, **options: str | None
) -> Settings:
    return build_settings(config or {}, environ or {}, instance=INSTANCE, directory=DIRECTORY, options=options)


def plain(value: Any) -> str:
    """A setting as the text it was."""
    if isinstance(value, frozenset):
        return ",".join(value)
    return str(getattr(value, "text", value))


def given(key: str) -> dict[str, str]:
    """A text for each origin."""
    texts = NAMED.get(key) or (("1", "2", "3") if key in NUMBERED else ("option", "environment", "config"))
    return dict(zip(("option", "environment", "app.config"), map(KEYS[key][1].format, texts), strict=True))


def test_every_key_is_tested() -> None:
    assert set(KEYS) | {"FERRY_SOURCE_PASSWORD_FILE"} == set(DEFAULTS)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_origins_in_their_order(key: str) -> None:
    attribute, _, default = KEYS[key]
    texts = given(key)
    options: dict[str, str | None] = {key: texts["option"]}
    environ, config = {f"FLASK_{key}": texts["environment"]}, {key: texts["app.config"]}
    for origin, settings in {
        "option": build(config, environ, **options),
        "environment": build(config, environ, **{key: None}),
        "app.config": build(config, {key: "the prefix is FLASK_"}),
    }.items():
        assert plain(getattr(settings, attribute)) == texts[origin]
        assert settings.origins[key] == origin
    settings = build()
    assert plain(getattr(settings, attribute)) == plain(default)
    assert settings.origins[key] == "default"


@pytest.mark.parametrize("password", ["1.10", "null", "true", "", " ", "0123", '"x"', "[1]", "p w", "ü", "NaN"])
def test_a_password_is_text_whatever_it_looks_like(password: str, tmp_path: Path) -> None:
    assert build({}, {"FLASK_FERRY_SOURCE_PASSWORD": password}).source_password == password
    assert build({"FERRY_SOURCE_PASSWORD": password}).source_password == password
    file = tmp_path / "password"
    for end in ("", "\n", "\r\n"):
        file.write_bytes((password + end).encode())
        assert build({"FERRY_SOURCE_PASSWORD_FILE": str(file)}).source_password == password


def test_a_password_shows_nowhere() -> None:
    settings = build({"FERRY_SOURCE_PASSWORD": "hunter2"})
    assert "hunter2" not in repr(settings) + str(settings)


def test_a_short_key_of_backups_is_refused_and_not_shown() -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_BACKUP_KEY \(environment\) is shorter than 16") as caught:
        _ = build({}, {"FLASK_FERRY_BACKUP_KEY": "hunter2"}).backup_key
    assert "hunter2" not in repr(caught.value)
    assert "a key of 16 and more" not in repr(build({"FERRY_BACKUP_KEY": "a key of 16 and more"}))


def test_two_passwords_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="FERRY_SOURCE_PASSWORD and FERRY_SOURCE_PASSWORD_FILE"):
        build({"FERRY_SOURCE_PASSWORD": "x"}, {"FLASK_FERRY_SOURCE_PASSWORD_FILE": str(tmp_path)})


def test_a_password_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_SOURCE_PASSWORD_FILE \(environment\): .*/nothing .*No such file"):
        build({}, {"FLASK_FERRY_SOURCE_PASSWORD_FILE": str(tmp_path / "nothing")})
    (tmp_path / "latin").write_bytes(b"passw\xf6rd")
    with pytest.raises(Misconfigured, match="not UTF-8") as caught:
        build({"FERRY_SOURCE_PASSWORD_FILE": str(tmp_path / "latin")})
    assert caught.value.__cause__ is None
    assert "xf6rd" not in repr(caught.value)


@pytest.mark.parametrize("key", ["FERRY_SNAPSHOT", "FERRY_BACKUPS", "FERRY_TLS_CA"])
def test_relative_paths(key: str) -> None:
    attribute = KEYS[key][0]
    assert getattr(build({key: "a/b"}), attribute) == INSTANCE / "a/b"
    assert getattr(build({}, {f"FLASK_{key}": "a/b"}), attribute) == INSTANCE / "a/b"
    assert getattr(build(**{key: "a/b"}), attribute) == DIRECTORY / "a/b"
    assert getattr(build({key: Path("/abs")}), attribute) == Path("/abs")
    assert getattr(build({key: "~/x"}), attribute) == Path.home() / "x"


def test_where_a_relative_source_counts_from() -> None:
    assert build({"FERRY_SOURCE": "old.db"}).source_base == INSTANCE
    assert build(FERRY_SOURCE="old.db").source_base == DIRECTORY


def test_none_in_the_config_is_no_value() -> None:
    settings = build(dict.fromkeys(DEFAULTS))
    assert set(settings.origins.values()) == {"default"}


@pytest.mark.parametrize("text", ["", "  ", ","])
def test_nothing_is_prohibited(text: str) -> None:
    assert build({"FERRY_PROHIBIT": text}).prohibited == frozenset()


def test_several_commands_are_prohibited() -> None:
    assert build({"FERRY_PROHIBIT": " db-init,db-rollback , "}).prohibited == {"db-init", "db-rollback"}


@pytest.mark.parametrize("value", [["db-init"], {"db-init"}, b"db-init", {"a": 1}])
def test_a_value_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_PROHIBIT \(app\.config\) is a"):
        build({"FERRY_PROHIBIT": value})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *[("FERRY_KEEP_DAYS", text) for text in ("0", "-1", "x", "2.5", "36501", "1000000")],
        *[("FERRY_KEEP", text) for text in ("0", "-1", "x", "", "nan", "inf", "2.5", "1e400")],
        *[("FERRY_TIMEOUT", text) for text in ("0", "-1", "x", "", "nan", "inf")],
        *[("FERRY_CONNECTIONS", text) for text in ("0", "-1", "x", "", "nan", "2.5", "17")],
        *[("FERRY_JOBS", text) for text in ("-1", "x", "", "nan", "1.5", "65")],
        *[("FERRY_EXECUTOR", text) for text in ("x", "tcp://127.0.0.1:8786", "dask://127.0.0.1")],
        *[("FERRY_REHEARSED", text) for text in ("7", "never", "-7d", "7.5d", "1 d")],
        *[("FERRY_FALLBACK", text) for text in ("", "7", "d", "7D", "7d ", "7d\n", "-7d", "7.5d", "always", "٧d")],
        *[("FERRY_ENVIRONMENT", text) for text in ("", "prod", "Production", "production ")],
    ],
)
def test_wrong_values_name_key_and_origin(key: str, text: str) -> None:
    with pytest.raises(Misconfigured, match=rf"{key} \(environment\)"):
        build({key: "1d"}, {f"FLASK_{key}": text})
    with pytest.raises(Misconfigured, match=rf"{key} \(app\.config\)"):
        build({key: text})


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_FALLBACK \(--fallback\) is 'soon'") as caught:
        build(FERRY_FALLBACK="soon")
    assert caught.value.hint


def test_each_database_of_the_app_may_have_a_source_of_its_own() -> None:
    """An option comes before both keys; another database's key is not looked at."""
    keys = {"FERRY_SOURCE": "/any", "FERRY_SOURCE_STATS": "/stats", "FERRY_SOURCE_MY_BIND": "/mine"}
    for bind, source, key in (
        (None, "/any", "FERRY_SOURCE"),
        ("default", "/any", "FERRY_SOURCE"),
        ("stats", "/stats", "FERRY_SOURCE_STATS"),
        ("my-bind", "/mine", "FERRY_SOURCE_MY_BIND"),
        ("uid", "/any", "FERRY_SOURCE"),
    ):
        settings = build(keys, FERRY_BIND=bind)
        assert (settings.source, settings.source_key) == (source, key)
        assert settings.origins["FERRY_SOURCE"] == "app.config"
    settings = build(keys, {"FLASK_FERRY_SOURCE_STATS": "/environ"}, FERRY_BIND="stats")
    assert (settings.source, settings.origins["FERRY_SOURCE"]) == ("/environ", "environment")
    assert build(keys, FERRY_BIND="stats", FERRY_SOURCE="self").source == "self"
    assert build({**keys, "FERRY_SOURCE_UID": "ada"}, FERRY_BIND="uid").source_uid == "ada"
