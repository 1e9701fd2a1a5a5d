"""What an upgrade would lose undeclared stops the run, with three ways on that can be pasted."""

from __future__ import annotations

import shlex
import tomllib

import pytest

from app.errors import VerificationFailed
from app.transfer.proof.losses import Undeclared, find_revision, refuse_undeclared
from app.transfer.schema.listen import Heard

ITEMS = [
    Undeclared("users.bio", "column users.bio is gone", "0002"),
    Undeclared("posts", "table posts is gone", ""),
    Undeclared("users.bio", "again", "0002"),
    Undeclared('trigger it\'s "odd"', "trigger is gone", "0003"),
]


def test_all_that_is_to_be_pasted_says_what_would_be_lost() -> None:
    with pytest.raises(VerificationFailed, match="The upgrade would drop 3 things") as caught:
        refuse_undeclared(ITEMS, "drop 3 things", "0009")
    error = caught.value
    assert error.details[:2] == ["column users.bio is gone (revision 0002)", "table posts is gone"]
    hint = str(error.hint)
    python = next(line for line in hint.splitlines() if line.startswith('ferry_losses = {"'))
    names = ["users.bio", "posts", 'trigger it\'s "odd"']
    assert eval(python.partition(" = ")[2]) == dict.fromkeys(names, "why")
    command = next(line for line in hint.splitlines() if "--accept-loss" in line).partition(": ")[2]
    assert shlex.split(command) == ["flask", "db-migrate-data", *(w for n in names for w in ("--accept-loss", n))]
    stanza = hint.partition("FERRY_DECLARATIONS:\n")[2].partition("\nFor this run")[0]
    assert {revision: list(said["ferry_losses"]) for revision, said in tomllib.loads(stanza).items()} == {
        "0002": ["users.bio"],
        "0009": ["posts"],
        "0003": ['trigger it\'s "odd"'],
    }


def test_the_revision_that_dropped_it_comes_before_the_one_that_spoke_of_its_table() -> None:
    heard = Heard(dropped={"bio": "0002", "posts": "0003"}, touched={"users": "0005", "posts": "0004"})
    assert find_revision("Users.Bio", heard) == "0002"
    assert find_revision("users.name", heard) == "0005"
    assert find_revision("posts", heard) == "0003"
    assert find_revision("never", heard) == ""
