"""A page of the handbook, followed: its files are written, its commands typed into one shell, its output compared.

Lines of a console block that begin with ``$`` are typed; those below are the output, where ``...`` stands for anything.
Where the output has a question with its answer, the command is typed at a terminal.
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

LIMIT_S = 300
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
