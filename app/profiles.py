"""What is personal in this app, and what stands in for it in a developer's database. See ``docs/anonymise.md``.

Ids, times, scores and roles stay, so that the app behaves as with the real rows. Texts that people wrote, names,
addresses, grades and whatever nobody can vouch for do not.
"""

from __future__ import annotations

from .transfer.profiles import (
    Profile,
    Replacement,
    document,
    email,
    emptied,
    keep,
    name,
    no_login,
    text,
    uid,
    without_query,
)

Tables = dict[str, dict[str, Replacement]]

ROLES = r"|User|Student|Teacher|Admin"
TIMES = r"[0-9]{10,13}|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+Z?)?"
NUMBERS = keep(matching="")
SCORES = {"score": NUMBERS, "rate": NUMBERS}
SCHOOL = text("school")
TEXTS = document(rest=text())

CLASSIC: Tables = {
    "sections": {"_name": keep(), "_abbreviation": keep()},
    "users": {
        "_name": name(),
        "_uid": uid("uid"),
        "_email": email(),
        "_sid": uid("sid"),
        "_password": no_login(),
        "_role": keep(matching=ROLES),
        "_pfp": emptied(),
        "_grade_data": TEXTS,
        "_ap_exam": TEXTS,
        "_class": TEXTS,
        "_school": SCHOOL,
        "_game_profile": TEXTS,
    },
    "personas": {"_category": keep(), "_alias": keep(), "_bio_map": TEXTS, "_empathy_map": TEXTS},
    "topics": {
        "_page_key": keep(),
        "_page_path": keep(),
        "_page_title": keep(),
        "_page_description": keep(),
        "_display_name": keep(),
        "_color": keep(),
        "_icon": keep(),
        "_settings": keep(),
    },
    # Replies and mentions are left out with all else that is not named: they are texts under keys of anybody's choice.
    "microblogs": {"_content": text(), "_data": document({"reactions": NUMBERS})},
    "posts": {
        "_content": text(),
        "_grade_received": text(),
        "_page_url": without_query(),
        "_page_title": text(),
    },
    "classrooms": {"_name": text(), "_school_name": SCHOOL, "_status": keep()},
    "feedbacks": {
        "title": text(),
        "body": text(),
        "type": keep(),
        "github_username": uid("github"),
        "github_issue_url": emptied(),
    },
    "study": {"topic": text(), "subtopic": text(), "timestamp": keep(matching=TIMES)},
    "leaderboard": {"_payload": document(SCORES)},
    "elementary_leaderboard_events": {"_payload": document(SCORES)},
    "skill_snapshots": {"project_name": text()},
}

RENAMED_TABLES = {"study": "studies"}
RENAMED_COLUMNS = {"_class": "classes", "_grade_received": "grade"}


def _plain(tables: Tables) -> Tables:
    """Rules under the names that revision 0002 gives."""
    return {
        RENAMED_TABLES.get(table, table): {
            RENAMED_COLUMNS.get(column, column.removeprefix("_")): rule for column, rule in columns.items()
        }
        for table, columns in tables.items()
    }


def _with(tables: Tables, table: str, *gone: str, **columns: Replacement) -> Tables:
    """Rules with the columns of one table that a revision takes and gives."""
    kept = {column: rule for column, rule in tables.get(table, {}).items() if column not in gone}
    return {**tables, table: kept | columns}


PLAIN = _plain(CLASSIC)
PAGE_QUERY = _with(PLAIN, "posts", "page_url", page_path=without_query(), page_query=emptied())
REACTIONS = _with(
    _with(PAGE_QUERY, "microblogs", former_data=emptied()),
    "microblog_reactions",
    kind=keep(),
)
UNIQUE_SIDS = _with(REACTIONS, "users", former_sid=uid("sid"))

anonymous = Profile(
    {
        "0001_classic": CLASSIC,
        "0002_plain_names": PLAIN,
        "0003_page_query": PAGE_QUERY,
        "0004_reactions": REACTIONS,
        "0007_unique_sids": UNIQUE_SIDS,
    }
)
