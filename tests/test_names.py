"""Names and sizes in the extension's own code: a local says what it holds, a function what it does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import ROOT

ROOMS = ("app/commands", "app/dialects", "app/export", "app/transfer")

LONGEST = 400

# A participle says that something was found, and not what it is: rows, a path, a revision, an answer.
PARTICIPLES = {
    "asked", "begun", "bound", "built", "chosen", "done", "drawn", "found", "given", "gone", "got", "held",
    "kept", "left", "lost", "made", "met", "opened", "own", "read", "said", "seen", "sent", "shown", "taken",
    "told", "written",
}  # fmt: skip
# A noun of the interface that apps import.
FUNCTIONS = {"emptied"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def walk_functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of the functions in it."""
    waiting: list[ast.AST] = [*ast.iter_child_nodes(function)]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting += ast.iter_child_nodes(node)


def locals_of(function: Function) -> dict[str, int]:
    """The names that a function gives to values, its parameters among them, each with its line."""
    names: dict[str, int] = {}
    for node in own_nodes(function):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.setdefault(name, node.lineno)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.setdefault(name, node.lineno)
    return names


def vague_locals(source: str) -> list[tuple[int, str]]:
    """Lines and names of locals that are participles; where there is a right, left is its other side."""
    lines = []
    for function in walk_functions(ast.parse(source)):
        names = locals_of(function)
        sides = {"left"} if "right" in names else set()
        lines += [(line, name) for name, line in names.items() if name.strip("_") in PARTICIPLES - sides]
    return sorted(lines)


def is_property(function: Function) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def functions_without_a_verb(source: str) -> list[tuple[int, str]]:
    """Lines and names of functions that are called by a participle alone; a property may be."""
    return [
        (function.lineno, function.name)
        for function in walk_functions(ast.parse(source))
        if is_participle(function.name.strip("_")) and not is_property(function) and function.name not in FUNCTIONS
    ]


def is_participle(name: str) -> bool:
    # "read" is a verb as well, "seed" and "need" are no participles.
    return (name.endswith("ed") and not name.endswith("eed") and "_" not in name) or name in PARTICIPLES - {"read"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_a_module(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert vague_locals(source) == []
    assert functions_without_a_verb(source) == []


def test_no_module_is_longer_than_one_reads_at_once() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(own): pass", ["own"]),
        ("def f():\n  found = 1", ["found"]),
        ("def f(xs): return [kept for kept in xs]", ["kept"]),
        ("def f(*made, **told): pass", ["made", "told"]),
        ("def f():\n  with open('x') as opened: pass", ["opened"]),
        ("def f():\n  try: pass\n  except ValueError as found: pass", ["found"]),
        ("def f(x):\n  match x:\n    case [_, *left]: pass", ["left"]),
        ("def f(x): return (_seen := x)", ["_seen"]),
        ("def f(g): return lambda found: g(found)", ["found"]),
        ("def f():\n  def g(said): pass", ["said"]),
        ("def f(left, right): pass", []),
        ("def f(left): pass", ["left"]),
        ("def f(rows): return rows.found(kept=1)", []),
    ],
)
def test_a_vague_local_is_seen(source: str, names: list[str]) -> None:
    assert [name for _, name in vague_locals(source)] == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def opened(): pass", ["opened"]),
        ("def _made(): pass", ["_made"]),
        ("async def connected(): pass", ["connected"]),
        ("class C:\n  def kept(self): pass", ["kept"]),
        ("class C:\n  @property\n  def done(self): pass", []),
        ("def seed(): pass\ndef read(): pass\ndef open_source(): pass\ndef changed_tables(): pass", []),
    ],
)
def test_a_function_without_a_verb_is_seen(source: str, names: list[str]) -> None:
    assert [name for _, name in functions_without_a_verb(source)] == names
