"""A page of the handbook, followed: its files are written, its commands typed into one shell, its output compared.

Lines of a console block that begin with ``$`` are typed; those below are the output, where ``...`` stands for anything.
Where the output has a question with its answer, the command is typed at a terminal.
A test that executes or reads blocks says which, ``@pytest.mark.executes("docs/guide.md", "a text in the block")``, or
all of a page without a text, and gets them by :func:`take` or :func:`follow`: where it did not get one, it fails.

A comment before a block of code says what becomes of it: ``<!-- write: FILE -->``,
``<!-- insert: FILE below: TEXT -->``, ``<!-- remove: FILE -->``.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from .site import ROOT

LIMIT_S = 300
LANGUAGES = frozenset({"bash", "console", "dockerfile", "ini", "python", "sh", "sql", "toml", "yaml"})
"""Of blocks that something executes or reads; others only show a form."""
TAKEN: set[str] = set()
"""The texts of the blocks that the test which runs now has taken."""
ANSWER, ANSWERED = Path(__file__).with_name("answer.py"), "[y/N]: y\n"
_BLOCK = re.compile(r"(?:^<!-- (\w+): (\S+)(?: below: (.*?))? -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of a page."""

    action: str
    file: str
    below: str
    language: str
    text: str


def list_blocks(page: str) -> list[Block]:
    return [Block(*match.groups(default="")) for match in _BLOCK.finditer(page)]


def find_blocks(page: str, *texts: str) -> list[Block]:
    """The blocks of a page that hold one of these texts each, or all that are executed or read.

    :param page: its path in the repository.
    """
    blocks = [block for block in list_blocks((ROOT / page).read_text(encoding="utf-8")) if block.language in LANGUAGES]
    if not texts:
        return blocks
    several = {text: [block for block in blocks if text in block.text] for text in texts}
    assert all(len(same) == 1 for same in several.values()), (page, {text: len(same) for text, same in several.items()})
    return [block for [block] in several.values()]


def take(page: str, *texts: str) -> list[str]:
    """The texts of blocks of a page, for the test that executes or reads them; see :func:`find_blocks`."""
    blocks = find_blocks(page, *texts)
    TAKEN.update(block.text for block in blocks)
    return [block.text for block in blocks]


def take_lines(page: str, *texts: str) -> list[str]:
    """The lines of blocks, taken."""
    return [line.removeprefix("$ ") for text in take(page, *texts) for line in text.splitlines()]


def list_commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output that the page shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def matches(shown: str, output: str) -> bool:
    """Whether output is what a page shows."""
    lines = [re.escape(line).replace(r"\.\.\.", ".*?") for line in shown.splitlines()]
    # A line of dots alone may be many lines, or none.
    pattern = "".join(r"(?:.*\n)*?" if line == ".*?" else f"{line}\n" for line in lines)
    return re.fullmatch(pattern, output.replace("\r\n", "\n")) is not None


class Shell:
    """One shell in which commands are typed one after the other."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._limit = threading.Timer(LIMIT_S, self._process.kill)
        self._limit.start()

    def type(self, command: str) -> tuple[int, str]:
        """Type a command: its status and all that it printed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\necho \x1e$?\n")
        self._process.stdin.flush()
        output = ""
        for line in self._process.stdout:
            text, mark, status = line.partition("\x1e")
            output += text
            if mark:
                return int(status), output
        raise AssertionError(f"the shell ended: {command}\n{output}")

    def where(self) -> Path:
        return Path(self.type("pwd")[1].strip())

    def close(self) -> None:
        self._limit.cancel()
        self._process.kill()
        self._process.communicate()


def follow(page: str, directory: Path, environ: Mapping[str, str]) -> list[str]:
    """Do all that a page says, in its order, and compare what it shows; each command that was typed."""
    shell, typed = Shell(directory, environ), []
    try:
        for block in list_blocks(page):
            if block.action:
                _write(block, shell.where() / block.file)
            for command, shown in list_commands(block) if block.language == "console" else ():
                status, output = shell.type(f"python {ANSWER} {command}" if ANSWERED in shown else command)
                assert status == 0, f"$ {command}\n{output}"
                assert matches(shown, output), f"$ {command}\n{output}\n--- the page shows:\n{shown}"
                typed.append(command)
            if block.action or block.language == "console":
                TAKEN.add(block.text)
    finally:
        shell.close()
    return typed


def _write(block: Block, file: Path) -> None:
    if block.action == "write":
        file.write_text(block.text)
        return
    lines = file.read_text().splitlines(keepends=True)
    if block.action == "remove":
        unwanted = [line for line in block.text.splitlines(keepends=True) if line.strip()]
        assert {*unwanted} <= {*lines}, file
        file.write_text("".join(line for line in lines if line not in unwanted))
        return
    assert block.action == "insert", block.action
    [number] = [number for number, line in enumerate(lines) if block.below in line]
    file.write_text("".join([*lines[: number + 1], block.text, *lines[number + 1 :]]))
