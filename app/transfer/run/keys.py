"""The configuration keys: what each means, and what counts where nobody sets it."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """One key of the environment (with ``FLASK_`` in front) or of ``app.config``.

    :param default: as text; None where leaving it unset has a meaning of its own.
    """

    meaning: str
    default: str | None = None


KEYS: dict[str, Key] = {
    "FERRY_SOURCE": Key(
        "SOURCE where none is given; for the database NAME of --bind, or of each of all, FERRY_SOURCE_NAME comes first"
    ),
    "FERRY_SOURCE_UID": Key(
        "the user to log in as: an admin of a deployment, or the user of a database whose URL names none"
    ),
    "FERRY_SOURCE_PASSWORD": Key("the password"),
    "FERRY_SOURCE_PASSWORD_FILE": Key(
        "a file with the password, in place of the key above; one line end at its end is ignored"
    ),
    "FERRY_SOURCE_TIME_ZONE": Key(
        "the time zone in which the source's app reads MySQL's TIMESTAMP: Europe/Berlin, +02:00; else its server's"
    ),
    "FERRY_SNAPSHOT": Key("the snapshot file", "data.json"),
    "FERRY_BACKUPS": Key("the directory of backups", "backups"),
    "FERRY_BACKUP_KEY": Key(
        "the key of the seal of backups, 16 characters or more; unset, one is made and kept in the control area. The "
        "same key on two databases lets each put the other's backups back. An identity of age (AGE-SECRET-KEY-1...) "
        "encrypts what goes to FERRY_STORAGE as well; recipients (age1..., apart by commas) only encrypt: they are "
        "public, so the key of the seal is that of the control area, and FERRY_BACKUP_IDENTITY reads"
    ),
    "FERRY_BACKUP_IDENTITY": Key(
        "a file of age identities, for its owner alone (0600), which read encrypted backups of FERRY_STORAGE"
    ),
    "FERRY_STORAGE": Key(
        "where each backup is kept as well: a URL that fsspec opens, such as s3://BUCKET/PREFIX. Needs "
        "flask-ferry[storage]; its credentials come from the environment (AWS_..., FSSPEC_...)"
    ),
    "FERRY_KEEP": Key(
        "generations kept, and backups per command; the newest backup always stays. Of the records of runs (their "
        "directories, with report and evidence) ten times as many per command; one that holds rows set aside stays. "
        "Former snapshots (.bak) are never removed. db-status -v says how much there is of each",
        "5",
    ),
    "FERRY_KEEP_DAYS": Key(
        "a backup is not removed before it is so many days old, however many there are; unset, only their number counts"
    ),
    "FERRY_FALLBACK": Key("as --fallback", "7d"),
    "FERRY_ENVIRONMENT": Key(
        "development, staging or production; unset, development on SQLite and on this machine, else production"
    ),
    "FERRY_PROHIBIT": Key("commands, separated by commas, that no option runs here", ""),
    "FERRY_SEED": Key("module:callable, a function without arguments or a click command: loads test data"),
    "FERRY_ADAPTERS": Key("the module of the adapters"),
    "FERRY_FILES": Key(
        "a directory: files that an old API's records name (/uploads/UID/PFP) are fetched into it. Without it, and for "
        "those that are not there, the receipt names them"
    ),
    "FERRY_DECLARATIONS": Key("a file that says for revisions of others what they move and drop"),
    "FERRY_BIND": Key("as --bind"),
    "FERRY_PROFILE": Key("as --profile"),
    "FERRY_PROFILES": Key("the module of the profiles"),
    "FERRY_PROFILE_KEY": Key("the secret that replacements depend on; unset, one is made and kept in the control area"),
    "FERRY_REHEARSED": Key(
        "an age such as 24h: db-migrate-data is refused (status 20) without a rehearsal so young that succeeded: of "
        "the same source and options, from the same revision to the same head. --set-aside-from needs none"
    ),
    "FERRY_HOOKS": Key(
        "module:callable, or a command: called before and after each step, and when one failed. What fails before the "
        "cut-over stops the run (status 1)"
    ),
    "FERRY_TLS_CA": Key(
        "the CA file that the source and database servers off this machine are verified by; else the system's"
    ),
    "FERRY_TIMEOUT": Key(
        "seconds that one answer of the source may take as a whole (0.1 to 86400); pauses between attempts grow with "
        "it",
        "30",
    ),
    "FERRY_CONNECTIONS": Key(
        "requests to an old API in flight at once (1 to 16). A pause that it asks for (Retry-After) holds for all of "
        "them; after a 429, 503, 504 or no answer they go one at a time",
        "4",
    ),
    "FERRY_JOBS": Key(
        "processes that help with the rows of a large database (0 to 64; 0: none); without it one for each core "
        "besides the first, at most four",
    ),
    "FERRY_EXECUTOR": Key(
        "dask://host:port: the workers of this Dask cluster help in their place (extra dask), with the rows of a "
        "database that is carried to a server. Over TLS, but for this machine. ?wait=SECONDS behind it: for how long "
        "the next part is waited for (300)"
    ),
    "FERRY_THROTTLE": Key("as --throttle"),
}
