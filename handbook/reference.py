"""Write the pages of ``docs/reference/`` from the code: ``python -m handbook.reference``."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from app.commands import bp, functions
from app.commands.options import GROUPS
from app.errors import MEANINGS, WHAT_TO_DO, ExitStatus
from app.transfer.run.keys import KEYS
from tests.support.servers import whole_runs

from .drawing import draw_way

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / "docs" / "reference"
PICTURE = ROOT / "docs" / "architecture.svg"
GENERATED = "<!-- Written by `make reference` from the code; change it there. -->"
SHARED_BY = 3
"""Options that so many commands have are described once."""

SEE = {
    "--bind": "hosts.md#several-databases",
    "--profile": "anonymise.md",
    "--rehearse": "guide.md#rehearsals",
    "--set-aside": "set-aside.md",
    "--set-aside-from": "set-aside.md",
    "--json": "reference/events.md",
    "--portable": "snapshot-format.md",
    "--trust-file": "security.md#what-a-seal-says",
    "--keep-writes": "guide.md#flask-db-rollback",
    "--accept-loss": "guide.md#what-revisions-declare",
    "FERRY_SOURCE_TIME_ZONE": "snapshot-format.md#instants",
    "FERRY_SNAPSHOT": "snapshot-format.md",
    "FERRY_BACKUP_IDENTITY": "guide.md#backups-off-this-machine",
    "FERRY_STORAGE": "guide.md#backups-off-this-machine",
    "FERRY_KEEP_DAYS": "guide.md#backups-off-this-machine",
    "FERRY_BACKUP_KEY": "security.md#what-a-seal-says",
    "FERRY_ENVIRONMENT": "guide.md#production",
    "FERRY_REHEARSED": "guide.md#rehearsals",
    "FERRY_HOOKS": "guide.md#hooks",
    "FERRY_SEED": "guide.md#seeds",
    "FERRY_ADAPTERS": "adapters.md",
    "FERRY_DECLARATIONS": "guide.md#what-revisions-declare",
    "FERRY_PROFILES": "anonymise.md",
    "FERRY_PROFILE_KEY": "anonymise.md#the-key",
}
"""An option or key -> the page of ``docs/`` that says more."""
FUNCTIONS = (
    functions.backup_database,
    functions.create_database,
    functions.authenticate,
    functions.extract_data,
    functions.write_data_to_json,
    functions.read_data_from_json,
)


def render_commands() -> str:
    """Every command with its options, those that several have first."""
    commands = {name: command.load() for name, command in sorted(bp.cli.commands.items())}  # type: ignore[attr-defined] # each is lazy
    rows = {name: dict(_list_options(command)) for name, command in commands.items()}
    users: dict[str, list[str]] = {}
    for name, options in rows.items():
        for row in options.values():
            users.setdefault(row, []).append(name)
    shared = {row for row, names in users.items() if len(names) >= SHARED_BY}
    lines = _begin(
        "Commands and options", "What `flask db-... --help` says. [Exit statuses](statuses.md) are the same everywhere."
    )
    lines += ["## Options of several commands", "", "| option | meaning | of |", "|---|---|---|"]
    lines += [f"{row} {_name_users(users[row], len(commands))} |" for row in dict.fromkeys(users) if row in shared]
    lines += ["| `--help` | Describe the command; touches nothing. | all |"]
    for name, command in commands.items():
        lines += ["", f"## flask {name}", "", *_describe(name, command)]
        own = [row for row in rows[name].values() if row not in shared]
        lines += ["", "| option | meaning |", "|---|---|", *own] if own else []
    return _end(lines)


def _list_options(command: click.Command) -> Iterable[tuple[str, str]]:
    """The name of each option of a command, and its row, in the order of its help."""
    context = click.Context(command, info_name=command.name)
    options = [option for option in command.params if isinstance(option, click.Option)]
    order = [name for names in GROUPS.values() for name in names]
    for option in sorted(options, key=lambda option: order.index(str(option.name))):
        words, meaning = option.get_help_record(context) or ("", "")
        longest = max(option.opts, key=len)
        spelling = ", ".join(f"`{word}`" for word in option.opts)
        value = re.sub(r"^\[(.*\|.*)\]$", r"\1", words.partition(longest)[2].strip()).replace("|", " or ")
        yield longest, f"| {spelling}{' ' + value if value else ''} | {_escape(meaning)}{_see(longest)} |"


def _name_users(names: list[str], of: int) -> str:
    return "all" if len(names) == of else ", ".join(f"`{name}`" for name in names)


def _describe(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=f"flask {name}")
    usage = " ".join([f"flask {name}", *command.collect_usage_pieces(context)])
    paragraphs = (command.help or "").replace("\b", "").strip().split("\n\n")
    return [f"`{usage}`", *(line for text in paragraphs for line in ("", _escape(" ".join(text.split()))))]


def render_statuses() -> str:
    """Every exit status, and what to do."""
    lines = _begin(
        "Exit statuses",
        "The same for every command. With any status but 0 and 25 the live database is what it was. For "
        "`db-status --check` and `db-verify` they say what was found.",
    )
    lines += ["| status | meaning | what to do |", "|---|---|---|"]
    lines += [
        f"| {int(status)} | {_escape(MEANINGS[status])} | {_code_options(WHAT_TO_DO[status])} |"
        for status in ExitStatus
    ]
    return _end(lines)


def render_keys() -> str:
    """Every configuration key with its default."""
    lines = _begin(
        "Configuration",
        "Each key is read as text from the environment with `FLASK_` in front (`FLASK_FERRY_SOURCE`), then from "
        "`app.config`, then the default counts; options come first. Nothing is parsed as JSON, so a password may be "
        "`1.10` or `null`. Relative paths in keys count from the instance folder.",
    )
    lines += ["| key | default | meaning |", "|---|---|---|"]
    for name, key in KEYS.items():
        default = f"`{key.default}`" if key.default else ""
        lines.append(f"| `{name}` | {default} | {_code_options(key.meaning)}{_see(name)} |")
    return _end(lines)


def render_events() -> str:
    """Every event of ``--json`` with its fields, from the schema."""
    schema = json.loads((ROOT / "docs" / "events.schema.json").read_text(encoding="utf-8"))
    lines = _begin(
        "Events",
        "With `--json` a command prints one JSON object a line, described by a [JSON Schema](../events.schema.json): "
        "events, and at the end `result` or `error`, for wrong options too. `report.json` of a run holds what "
        "`result` says.",
    )
    lines += ["## Every event", "", *_list_fields(schema, schema)]
    for event in schema["oneOf"]:
        title, _, rest = event["title"].partition("; ")
        lines += ["", f"## {event['properties']['event']['const']}", "", f"{title}{': ' if rest else ''}{rest}.", ""]
        lines += _list_fields(schema, event)
    return _end(lines)


def _list_fields(schema: dict[str, Any], event: dict[str, Any]) -> list[str]:
    lines = ["| field | type | |", "|---|---|---|"]
    for name, field in event["properties"].items():
        if field is True or ("const" in field and name == "event"):
            continue
        words = field.get("description") or _resolve(schema, field).get("description")
        meaning = [words] if words else []
        meaning += [] if name in event["required"] else ["may be absent"]
        lines.append(f"| `{name}` | {_name_type(schema, field)} | {_escape('; '.join(meaning))} |")
    return lines


def _resolve(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    target: dict[str, Any] = schema["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
    return target


def _name_type(schema: dict[str, Any], field: dict[str, Any]) -> str:
    if "$ref" in field:
        target = _resolve(schema, field)
        return f"{_name_type(schema, target)}{', UTC' if target.get('pattern') else ''}"
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    names = field["type"] if isinstance(field["type"], list) else [field["type"]]
    if "items" in field and "type" in field["items"]:
        names = [f"{name} of {field['items']['type']}s" if name == "array" else name for name in names]
    return " or ".join(names)


def render_functions() -> str:
    """The functions that scripts import by name."""
    lines = _begin(
        "Functions",
        "Six functions of `flask_ferry.commands.functions` that older deploy scripts import by name "
        "([coming from them](../coming-from-scripts.md)). They need an app context, raise the errors of "
        "`flask_ferry.errors`, and return no error in place of a result.",
    )
    for function in FUNCTIONS:
        lines += [*_describe_function(function), ""]
    return _end(lines)


def _describe_function(function: Callable[..., Any]) -> list[str]:
    text, _, fields = (inspect.getdoc(function) or "").partition("\n\n:")
    parameters = ", ".join(
        str(parameter).replace("'", "") for parameter in inspect.signature(function).parameters.values()
    )
    lines = [f"## {function.__name__}", "", f"`{function.__name__}({parameters})`", ""]
    lines += [_escape(" ".join(text.split())), ""]
    for field in re.split(r"\n:", fields) if fields else []:
        name, _, meaning = " ".join(field.split()).lstrip(":").partition(": ")
        lines.append(f"- {_name_field(name)}: {_escape(meaning)}")
    return lines


def _name_field(name: str) -> str:
    kind, _, subject = name.partition(" ")
    return {"param": f"`{subject}`", "return": "returns", "raises": f"raises `{subject}`"}[kind]


def _begin(title: str, introduction: str) -> list[str]:
    return [f"# {title}", "", GENERATED, "", introduction, ""]


def _end(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _see(name: str) -> str:
    """A link to the page that says more."""
    if name not in SEE:
        return ""
    path = SEE[name]
    return f" ([more]({path.removeprefix('reference/') if path.startswith('reference/') else '../' + path}))"


def _code_options(text: str) -> str:
    return re.sub(r"(--[a-z-]+(?: 30d)?|flask db-[a-z-]+|\bFERRY_[A-Z_]+)", r"`\1`", _escape(text))


def _escape(text: str) -> str:
    """Text with nothing that Markdown would take for its own, but for code between back-ticks."""
    parts = re.sub(r":\w+:(?=`)", "", text).replace("``", "`").split("`")
    return "`".join(part if index % 2 else re.sub(r"([|<>*])", r"\\\1", part) for index, part in enumerate(parts))


def render_comparison() -> str:
    """The page with the figures of the newest run of the benchmark in their place."""
    docs = DIRECTORY.parent
    page = (docs / "comparison.md").read_text(encoding="utf-8")
    rows = "".join(_list_figures((docs / "speed.md").read_text(encoding="utf-8")))
    return _put(page, "figures of docs/speed.md", f"| for | instead of | times as fast |\n|---|---|--:|\n{rows}")


def _list_figures(speed: str) -> Iterable[str]:
    """A row for each tool that the benchmark compares with, on each route."""
    route = ""
    results = speed[speed.index("<!-- results -->") : speed.index("<!-- end of results -->")]
    for line in results.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) != 9 or cells[1] in ("route", "---"):
            continue
        route = cells[1] or route
        if cells[4]:
            yield f"| {route} | {cells[2]} | {cells[4]} |\n"


def render_servers() -> str:
    """The page with the counts of the newest whole runs in their places."""
    page = (DIRECTORY.parent / "servers.md").read_text(encoding="utf-8")
    page = _put(page, "runs on servers", whole_runs.render_servers())
    return _put(page, "runs on versions", whole_runs.render_others())


def _put(page: str, name: str, table: str) -> str:
    """A page with another table between the two marks of a name."""
    begin, end = f"<!-- {name}, by `make reference` -->\n", f"<!-- end of {name} -->"
    return f"{page[: page.index(begin) + len(begin)]}\n{table}\n{page[page.index(end) :]}"


PAGES: dict[str, Callable[[], str]] = {
    "../comparison.md": render_comparison,
    "../servers.md": render_servers,
    "commands.md": render_commands,
    "configuration.md": render_keys,
    "events.md": render_events,
    "functions.md": render_functions,
    "statuses.md": render_statuses,
}


def main() -> None:
    """Write every page, and the picture of the architecture."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, render in PAGES.items():
        (DIRECTORY / name).write_text(render(), encoding="utf-8")
    PICTURE.write_text(draw_way(), encoding="utf-8")


if __name__ == "__main__":
    main()
