"""Which versions of its libraries a host must have, told by name before anything of ours fails on an older one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

LOWEST = {
    "SQLAlchemy": "2.0.16",
    "Flask-SQLAlchemy": "3.1",
    "Flask-Migrate": "4.0.2",
    "alembic": "1.12",
    "Flask": "2.3",
    "click": "8.1.3",
}


def refuse_older(find_version: Callable[[str], str] = version) -> None:
    """Refuse libraries that are older than the lowest versions, all at once.

    :raises ImportError: names them, and what to type.
    """
    older = [
        f"{name} {present}" for name in LOWEST if (present := _find(name, find_version)) and _is_older(present, name)
    ]
    if older:
        wanted = " ".join(f"'{name}>={least}'" for name, least in LOWEST.items())
        raise ImportError(
            f"Flask-Ferry needs newer libraries than {', '.join(older)}. Newer ones: pip install {wanted}"
        )


def _find(name: str, find_version: Callable[[str], str]) -> str:
    try:
        return find_version(name)
    except PackageNotFoundError:
        return ""  # vendored, or put there by hand: what is missing will say so


def _is_older(text: str, name: str) -> bool:
    return _numbers(text) < _numbers(LOWEST[name])


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version up to the first part that is none."""
    numbers: list[int] = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
