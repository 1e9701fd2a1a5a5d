"""Hints as somebody can paste them: each command in one begins as theirs did, and has what they typed.

The engine says what is new (``flask db-migrate-data --rerun``) and knows no command line. Every hint that is shown, and
every one in a report, comes through :func:`complete`.
"""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass, replace

REPLACING = ("db-init", "db-migrate-data", "db-restore", "db-rollback")
"""The commands that could have changed the live database, and that ask before they do."""

_ANSWERS = ("--yes", "--allow-production")
_SWITCHES = frozenset(
    {
        *_ANSWERS,
        "--rerun",
        "--set-aside",
        "--accept-missing",
        "--keep-violations",
        "--insecure-http",
        "--trust-file",
        "--rehearse",
    }
)
_QUOTED = r"""'[^'\n]*'(?:"'"'[^'\n]*')*"""
_NAMED = rf"--(?:accept-loss|bind|exclude) (?:{_QUOTED}|[\w@%+=:,./-]+)"
"""An option with the name that it is of, which may be a word like any other."""
_WORD = rf"{_NAMED}|--[a-z][a-z-]*|{_QUOTED}|self\b|migrations\b|[A-Z][A-Z-]+\b|[^\s'\"(),;:#]*[/\d][^\s'\"(),;:#]*"
_COMMAND = re.compile(rf"\bflask (?P<name>db-[a-z]+(?:-[a-z]+)*)(?P<words>(?: (?:{_WORD}))*)")
_MIGRATE = re.compile(r"\bflask (?=db [a-z])")
_SWITCH_OR_WORD = re.compile(_WORD)
_AGAIN = re.compile(r"(?i)\brun (?:the command |it )?again\b")


@dataclass(frozen=True)
class Typed:
    """A command as it was typed.

    :ivar program: what stands before the command, with the options of ``flask`` itself.
    :ivar name: the command.
    :ivar arguments: what follows.
    :ivar one: of the databases that it is for, the one that something is said of.
    """

    program: str
    name: str
    arguments: tuple[str, ...] = ()
    one: str | None = None

    def __str__(self) -> str:
        return " ".join([self.program, shlex.join([self.name, *self.arguments])])

    def with_flags(self, *flags: str) -> str:
        """The same command with these flags, each once, and without what does not go with them."""
        same = self.without("--dry-run") if "--rehearse" in flags else self
        return " ".join([str(same), *(flag for flag in flags if not self.has(flag))])

    def without(self, flag: str) -> Typed:
        """The same command without a flag."""
        return replace(self, arguments=tuple(argument for argument in self.arguments if argument != flag))

    def narrowed_to(self, bind: str) -> Typed:
        """The same command, of which something is said for one of its databases."""
        return replace(self, one=bind)

    def for_one(self) -> Typed:
        """The same command for that database alone."""
        if self.one is None:
            return self
        before = [word for word in (*self.arguments, "") if not word.startswith("--bind=")]
        others = [word for last, word in itertools.pairwise(["", *before]) if "--bind" not in (last, word) and word]
        return Typed(self.program, self.name, (*others, "--bind", self.one))

    def has(self, flag: str) -> bool:
        return flag in self.arguments or (flag == "--yes" and "-y" in self.arguments)


def complete(hint: str, typed: Typed) -> str:
    """A hint with whole commands in it; where it says "run again", the command to run."""
    if str(typed) in hint:
        return hint  # it was made of that
    again = _AGAIN.search(hint) is not None
    text = _COMMAND.sub(
        lambda match: (
            str(typed)
            if again and match[0] == f"flask {typed.name}"
            else _complete(match["name"], _SWITCH_OR_WORD.findall(match["words"]), typed)
        ),
        hint,
    )
    text = _MIGRATE.sub(f"{typed.program} ", text)
    return f"{text}\nAgain: {typed}" if again and not _COMMAND.search(hint) else text


def name_bind(text: str, typed: Typed) -> str:
    """A text in which each command is one for the database that the typed one was for."""
    option = _list_bind(typed)
    if not option:
        return text
    return _COMMAND.sub(lambda match: match[0] if "--bind" in match[0] else " ".join([match[0], *option]), text)


def name_program(command: str, typed: Typed) -> str:
    """A command that follows, to be typed as the other one was: the same program, the same database."""
    return name_bind(command, typed).replace("flask ", f"{typed.program} ", 1)


def _complete(name: str, words: list[str], typed: Typed) -> str:
    same = name == typed.name
    switches = all(map(_is_switch, words))
    if not same or not switches or "--rerun" in words:
        # What helps one of several databases is not for the others.
        typed = typed.for_one()
    if same and switches and set(words) - set(_ANSWERS):
        return typed.with_flags(*words)
    # What was answered before need not be asked again, where there may be nobody to ask.
    answered = [flag for flag in _ANSWERS if name in REPLACING and typed.has(flag) and flag not in words]
    if not same:
        answered = [flag for flag in answered if flag == "--yes"]
    has_bind = any(word.startswith("--bind") for word in words)
    answered = [*([] if has_bind else _list_bind(typed)), *answered]
    return " ".join([typed.program, name, *words, *answered])


def _list_bind(typed: Typed) -> list[str]:
    """The option that says of which database, for a command that is another one."""
    for option, value in itertools.pairwise((*typed.arguments, "")):
        if option == "--bind":
            return [option, shlex.quote(value)]
        if option.startswith("--bind="):
            return [shlex.quote(option)]
    return []


def _is_switch(word: str) -> bool:
    return word in _SWITCHES or word.startswith(("--accept-loss ", "--exclude "))
