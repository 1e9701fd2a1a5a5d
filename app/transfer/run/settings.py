"""Frozen settings of a run, each with where its value came from.

A key ``FERRY_X`` is read as text from ``FLASK_FERRY_X`` in the environment, then from ``app.config``, then its default
counts; a command's options come before all of them. The text is never parsed as JSON: a password may look like a
number.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...dialects.redact import redact_text
from ...errors import Misconfigured
from ..rows.zones import parse_zone
from .ages import Age, Fallback, parse_age, parse_fallback
from .backup_key import check_backup_key, check_storage, secret_of
from .cluster_address import ClusterAddress, find_address
from .keys import KEYS
from .throttle import Limits, parse_throttle
from .workers import MOST, count_by_itself

ENVIRONMENTS = ("development", "staging", "production")

DEFAULTS: dict[str, str | None] = {name: key.default for name, key in KEYS.items()}
SECRET = frozenset({"FERRY_SOURCE_PASSWORD", "FERRY_PROFILE_KEY", "FERRY_BACKUP_KEY"})

MOST_KEPT = 1_000_000
MOST_DAYS = 36_500
"""A century: days before the year 1 are no date."""
LONGEST_TIMEOUT_S = 86400.0
"""A day; a socket's own limit is some 292 years, behind which Python raises OverflowError."""
MOST_CONNECTIONS = 16
"""To one old deployment, which serves its users meanwhile."""

_BIND = re.compile(r"\w[\w-]{0,62}")
_UNSPEAKABLE = re.compile("[\x00\ud800-\udfff]")
"""What is no text: NUL, which ends a C string, and bytes of the environment that are not UTF-8."""
_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""Bytes of a file's name and of a path on Linux (limits.h); longer ones are an error of each call."""


@dataclass(frozen=True)
class Settings:
    """What a run needs to know, resolved and checked.

    :ivar source: URL, path, ``self`` or None.
    :ivar source_key: the key that ``source`` is the value of: one database of the app may have its own.
    :ivar source_base: the directory a relative path in ``source`` counts from.
    :ivar bind: which database of the app is the target, or None: its only one.
    :ivar storage: the URL at which backups are kept as well; it has no password.
    :ivar keep: generations and backups kept, per command.
    :ivar keep_days: how old a backup is before it may be removed, in days; None: of any age.
    :ivar rehearsed: how old the last rehearsal of a run may be; None: it needs none.
    :ivar hooks: what is called before and after each step.
    :ivar files: the directory for files that records of an old API name; None: they are not fetched.
    :ivar timeout_s: how long one answer of a source over HTTP may take as a whole.
    :ivar connections: how many requests to an old API are in flight at most.
    :ivar jobs: how many processes help at most.
    :ivar executor: the Dask cluster whose workers help in their place.
    :ivar throttle: how fast a migration may go; None: as fast as it can.
    :ivar origins: per key, where its value came from: ``option``, ``environment``, ``app.config``, ``default``.
    """

    source: str | None
    source_key: str
    source_base: Path
    source_uid: str | None
    source_password: str | None = field(repr=False)
    password_file: Path | None
    source_time_zone: str | None
    snapshot: Path
    backups: Path
    backup_key_text: str | None = field(repr=False)
    backup_identity: Path | None
    storage: str | None
    keep: int
    keep_days: int | None
    fallback: Fallback
    environment: str | None
    prohibited: frozenset[str]
    seed: str | None
    adapters: str | None
    files: Path | None
    declarations: Path | None
    bind: str | None
    profile: str | None
    profiles: str | None
    profile_key: str | None = field(repr=False)
    rehearsed: Age | None
    hooks: str | None
    tls_ca: Path | None
    timeout_s: float
    connections: int
    jobs: int
    executor: ClusterAddress | None
    throttle: Limits | None
    origins: Mapping[str, str] = field(repr=False)

    @property
    def backup_key(self) -> str | None:
        """:raises Misconfigured: it cannot be a key; who only looks does not ask for it."""
        return check_backup_key(self.backup_key_text, self.origins["FERRY_BACKUP_KEY"])

    @property
    def seal_secret(self) -> str | None:
        """What backups are sealed with, where a key says so: a recipient of age is public, and seals nothing."""
        return secret_of(self.backup_key)

    def name_places(self, backup_to: Path | None) -> str:
        """Where a backup goes, for people."""
        place = str(backup_to or self.backups)
        return f"{place}, and {redact_text(self.storage)}" if self.storage else place


class _Keys:
    """Looks keys up and remembers where each was found."""

    def __init__(
        self, config: Mapping[str, Any], environ: Mapping[str, str], options: Mapping[str, str | None]
    ) -> None:
        self._config, self._environ, self._options = config, environ, options
        self.origins: dict[str, str] = {}

    def text(self, key: str) -> str | None:
        for origin, value in (
            ("option", self._options.get(key)),
            ("environment", self._environ.get(f"FLASK_{key}")),
            ("app.config", self._config.get(key)),
        ):
            if value is not None:
                self.origins[key] = origin
                return _text(f"{key} ({origin})", value)
        self.origins[key] = "default"
        return DEFAULTS.get(key)

    def text_of(self, key: str, bind: str | None) -> tuple[str, str | None]:
        """A key that each database of the app may have one of its own for; the name that counts, and its value.

        An option comes before both.
        """
        special = name_key(key, bind) if bind else key
        named = self._environ.get(f"FLASK_{special}"), self._config.get(special)
        if special in DEFAULTS or self._options.get(key) is not None or named == (None, None):
            return key, self.text(key)
        value = self.text(special)
        # Who asks where a source came from asks by the one name.
        self.origins[key] = self.origins.pop(special)
        return special, value

    def number(self, key: str, least: float, most: float, *, whole: bool = False) -> float:
        text = self.text(key) or ""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        # Not "value < least": nothing is less than a NaN.
        if not least <= value <= most or (whole and value != int(value)):
            kind = "whole number" if whole else "number"
            raise Misconfigured(
                f"{key} ({self.origins[key]}) is {text[:40]!r}; a {kind} of at least {least:g} is needed"
                f" (and of at most {most:,.0f})."
            )
        return value


def _text(place: str, value: Any) -> str:
    """:raises Misconfigured: the value is no text; it is not shown, as it may be a password."""
    if not isinstance(value, str | int | float | os.PathLike):
        raise Misconfigured(f"{place} is a {type(value).__name__}; write it as one text.")
    try:
        text = str(value)
    except ValueError:
        raise Misconfigured(f"{place} is a number of thousands of digits.") from None
    if _UNSPEAKABLE.search(text):
        raise Misconfigured(f"{place} holds a NUL, or bytes that are not UTF-8.", hint="Write it as a text in UTF-8.")
    return text


def expand_path(text: str, place: str) -> Path:
    """A path with ``~`` and ``~user`` replaced.

    :raises Misconfigured: there is no such user, or no path can be so long.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise Misconfigured(f"{place} names the home directory of a user who is not there: {text[:80]!r}.") from error
    return possible(path, place)


def possible(path: Path, place: str) -> Path:
    """The path, if a file can have it.

    :raises Misconfigured: no path can be so long.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        raise Misconfigured(f"{place} is longer than a path can be: {str(path)[:80]!r}...")
    return path


def build_settings(
    config: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    instance: Path,
    directory: Path,
    options: Mapping[str, str | None],
) -> Settings:
    """Resolve every key.

    :param instance: where relative paths in keys count from.
    :param directory: where relative paths in options count from.
    :param options: key -> what a command's option gave, or None.
    :raises Misconfigured: a value that no meaning exists for, or two that contradict each other.
    """
    keys = _Keys(config, environ, options)

    def path(key: str) -> Path | None:
        text = keys.text(key)
        if not text:
            return None
        base = directory if keys.origins[key] == "option" else instance
        return base / expand_path(text, f"{key} ({keys.origins[key]})")

    environment = keys.text("FERRY_ENVIRONMENT")
    if environment is not None and environment not in ENVIRONMENTS:
        raise Misconfigured(
            f"FERRY_ENVIRONMENT ({keys.origins['FERRY_ENVIRONMENT']}) is {environment!r}.",
            hint=f"Use one of {', '.join(ENVIRONMENTS)}.",
        )
    bind = _bind(keys)
    source_key, source = keys.text_of("FERRY_SOURCE", bind)
    password_file = path("FERRY_SOURCE_PASSWORD_FILE")
    return Settings(
        source=source or None,
        source_key=source_key,
        source_base=directory if keys.origins["FERRY_SOURCE"] == "option" else instance,
        source_uid=keys.text("FERRY_SOURCE_UID"),
        source_password=_password(keys, password_file),
        password_file=password_file,
        source_time_zone=_time_zone(keys),
        snapshot=_snapshot_of(bind, path("FERRY_SNAPSHOT") or instance / "data.json"),
        backups=path("FERRY_BACKUPS") or instance / "backups",
        backup_key_text=keys.text("FERRY_BACKUP_KEY") or None,
        backup_identity=path("FERRY_BACKUP_IDENTITY"),
        storage=check_storage(keys.text("FERRY_STORAGE") or None, f"FERRY_STORAGE ({keys.origins['FERRY_STORAGE']})"),
        keep=int(keys.number("FERRY_KEEP", 1, MOST_KEPT, whole=True)),
        keep_days=_keep_days(keys),
        fallback=parse_fallback(keys.text("FERRY_FALLBACK") or "", keys.origins["FERRY_FALLBACK"]),
        environment=environment,
        prohibited=frozenset(name.strip() for name in (keys.text("FERRY_PROHIBIT") or "").split(",") if name.strip()),
        seed=keys.text("FERRY_SEED") or None,
        declarations=path("FERRY_DECLARATIONS"),
        bind=bind,
        adapters=keys.text("FERRY_ADAPTERS") or None,
        files=path("FERRY_FILES"),
        profile=keys.text("FERRY_PROFILE") or None,
        profiles=keys.text("FERRY_PROFILES") or None,
        profile_key=keys.text("FERRY_PROFILE_KEY") or None,
        rehearsed=_rehearsal_age(keys),
        hooks=keys.text("FERRY_HOOKS") or None,
        tls_ca=path("FERRY_TLS_CA"),
        timeout_s=keys.number("FERRY_TIMEOUT", 0.1, LONGEST_TIMEOUT_S),
        connections=int(keys.number("FERRY_CONNECTIONS", 1, MOST_CONNECTIONS, whole=True)),
        jobs=_jobs(keys),
        executor=find_address(keys.text("FERRY_EXECUTOR"), keys.origins),
        throttle=parse_throttle(keys.text("FERRY_THROTTLE"), keys.origins["FERRY_THROTTLE"]),
        origins=keys.origins,
    )


def _jobs(keys: _Keys) -> int:
    return count_by_itself() if keys.text("FERRY_JOBS") is None else int(keys.number("FERRY_JOBS", 0, MOST, whole=True))


def _keep_days(keys: _Keys) -> int | None:
    return int(keys.number("FERRY_KEEP_DAYS", 1, MOST_DAYS, whole=True)) if keys.text("FERRY_KEEP_DAYS") else None


def _rehearsal_age(keys: _Keys) -> Age | None:
    text = keys.text("FERRY_REHEARSED") or None
    if text is None:
        return None
    if (age_s := parse_age(text)) is None:
        raise Misconfigured(
            f"FERRY_REHEARSED ({keys.origins['FERRY_REHEARSED']}) is {text[:40]!r}.",
            hint="Use an age such as 12h or 7d, of nine digits at most.",
        )
    return Age(text, age_s)


def _bind(keys: _Keys) -> str | None:
    """Which database of the app is the target; part of a file's name."""
    bind = keys.text("FERRY_BIND") or None
    if bind is not None and not _BIND.fullmatch(bind):
        raise Misconfigured(
            f"FERRY_BIND ({keys.origins['FERRY_BIND']}) is {bind[:40]!r}.",
            hint="Use a key of SQLALCHEMY_BINDS of letters, digits, - and _; or default.",
        )
    return bind


def _snapshot_of(bind: str | None, path: Path) -> Path:
    """What was taken for one database of the app stands in for no other: each has a file of its own."""
    return path if bind in (None, "default") else path.with_name(f"{bind}-{path.name}")


def name_key(key: str, bind: str) -> str:
    """What a key is called for one database of the app: ``FERRY_SOURCE_STATS``."""
    return f"{key}_{re.sub('[^0-9A-Za-z]', '_', bind).upper()}"


LONGEST_PASSWORD = 64 << 10


def _start_of(file: Path) -> bytes:
    """What a file holds, of which no more is read than a password can be: it may be a device.

    :raises Misconfigured: there is more.
    """
    with file.open("rb") as stream:
        start = stream.read(LONGEST_PASSWORD + 1)
    if len(start) > LONGEST_PASSWORD:
        raise Misconfigured(f"FERRY_SOURCE_PASSWORD_FILE: {file} is longer than any password.")
    return start


def _time_zone(keys: _Keys) -> str | None:
    zone = keys.text("FERRY_SOURCE_TIME_ZONE") or None
    if zone is not None and parse_zone(zone) is None:
        raise Misconfigured(
            f"FERRY_SOURCE_TIME_ZONE ({keys.origins['FERRY_SOURCE_TIME_ZONE']}) is {zone[:40]!r}.",
            hint="Use the name of a time zone such as Europe/Berlin, or an offset such as +02:00.",
        )
    return zone


def _password(keys: _Keys, file: Path | None) -> str | None:
    password = keys.text("FERRY_SOURCE_PASSWORD")
    if file is None:
        return password
    if password is not None:
        raise Misconfigured("FERRY_SOURCE_PASSWORD and FERRY_SOURCE_PASSWORD_FILE are both set.", hint="Unset one.")
    try:
        return _text(f"FERRY_SOURCE_PASSWORD_FILE: {file}", _start_of(file).decode("utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        origin, why = keys.origins["FERRY_SOURCE_PASSWORD_FILE"], getattr(error, "strerror", "it is not UTF-8")
        # Not the error itself: that of a decoder holds the bytes.
        raise Misconfigured(f"FERRY_SOURCE_PASSWORD_FILE ({origin}): {file} cannot be read: {why}.") from None
