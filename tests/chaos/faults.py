"""What befalls a command at a step, as data: how its process is held there, what is done, and how that is undone."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from app.transfer.run.ledger import lease
from tests.support.forks import Hook
from tests.support.places import Server
from tests.support.servers.proxy import Proxy
from tests.support.site import Result

from .commands import SERVERS, Turn
from .place import Place, can_mount

NETWORKED = tuple(name for name in SERVERS if name != "sqlite")
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), Path("libfaketimeMT.so.1"))
SLEEPS: tuple[Hook, ...] = (("tests.chaos.points:sleep_by_select", {}),)
JUMPS = ("+2h", "-2h", "+40d")


@dataclass
class Scene:
    """What a fault can reach.

    :ivar chance: a number below 1 that decides what the fault leaves open.
    :ivar meanwhile: the arguments of another command that comes while this one sleeps.
    :ivar other: what that one said.
    """

    place: Place
    turn: Turn
    pid: int
    chance: float
    meanwhile: tuple[str, ...] = ()
    mortal: Server | None = None
    proxy: Proxy | None = None
    other: Result | None = None


@dataclass(frozen=True)
class Fault:
    """One kind of accident.

    :ivar how: what the process does at the step: ``kill``, ``wait``, ``stop``, or nothing where it is empty.
    :ivar strike: what is done while it waits there.
    :ivar heal: what is done when the command has ended.
    :ivar hooks: called in the process first of all.
    :ivar needs: why it cannot be had here; empty where it can.
    """

    name: str
    how: str = "wait"
    servers: tuple[str, ...] = SERVERS
    strike: Callable[[Scene], None] = lambda _scene: None
    heal: Callable[[Scene], None] = lambda _scene: None
    hooks: tuple[Hook, ...] = field(default_factory=tuple)
    needs: Callable[[], str] = lambda: ""


# The server


def _kill_server(scene: Scene) -> None:
    assert scene.mortal
    scene.mortal.kill()
    if scene.chance < 0.5:
        scene.mortal.start()


def _start_server(scene: Scene) -> None:
    assert scene.mortal
    if scene.chance >= 0.5:
        scene.mortal.start()


def _cut(scene: Scene) -> None:
    assert scene.proxy
    scene.proxy.cut()


# The disk


def _fill(scene: Scene) -> None:
    with _ballast(scene.place).open("wb", buffering=0) as ballast:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(bytes(size))


def _empty(scene: Scene) -> None:
    _ballast(scene.place).unlink(missing_ok=True)


def _ballast(place: Place) -> Path:
    return place.directory / "ballast"


def _refuse_without_mounts() -> str:
    return "" if can_mount() else "a disk of its own, which takes root"


def _directories(place: Place) -> list[Path]:
    """Where a command makes files; the histories are no part of that."""
    paths = [path for path in place.directory.rglob("*") if path.is_dir() and not path.is_symlink()]
    written = [path for path in paths if "migrations" not in path.parts and path.name not in ("now", "next")]
    return [place.directory, *written]


def _close_directories(scene: Scene) -> None:
    for path in _directories(scene.place):
        path.chmod(0o500)


def _open_directories(scene: Scene) -> None:
    for path in _directories(scene.place):
        path.chmod(0o700)


# Time


def _outlive_lease(scene: Scene) -> None:
    """It sleeps, elsewhere, so long that its lease is dead and its sessions are forgotten; another run comes."""
    _until_stopped(scene.pid)
    if scene.proxy:
        scene.proxy.cut()
    control = scene.place.dialect.control_area(scene.place.url)
    if scene.place.dialect.exists(control.url):
        _age_lease(scene.place)
    scene.other = scene.place.run((*scene.meanwhile, "--lock-timeout", "3"), scene.turn.release)
    os.kill(scene.pid, signal.SIGCONT)


def _until_stopped(pid: int) -> None:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline, "it does not stop"
        time.sleep(0.002)


def _age_lease(place: Place) -> None:
    area = place.dialect.control_area(place.url)
    with contextlib.suppress(sa.exc.DBAPIError), place.dialect.control_engine(area).begin() as connection:
        rows = connection.execute(sa.select(lease.c.id, lease.c.heartbeat_at)).all()
        for number, beat in rows:
            values = {"host": "elsewhere", "heartbeat_at": beat.replace(year=beat.year - 1)}
            connection.execute(sa.update(lease).where(lease.c.id == number).values(**values))


def clock_file(place: Place) -> Path:
    return place.directory.parent / "clock"


def load_clock(place: Place) -> None:
    """Let commands have a clock that jumps when the file says so: that of the day, by which no wait is measured."""
    clock_file(place).write_text("+0")
    place.hooks = SLEEPS
    place.interpreter = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock_file(place)),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _jump(scene: Scene) -> None:
    clock_file(scene.place).write_text(JUMPS[int(scene.chance * len(JUMPS))])


def _set_right(scene: Scene) -> None:
    clock_file(scene.place).write_text("+0")


def _refuse_without_faketime() -> str:
    return "" if FAKETIME.exists() else "Debian's libfaketime"


@functools.cache
def _no_privileges() -> tuple[Hook, ...]:
    return (("tests.support.runs.hooks:no_privileges", {}),) if os.getuid() == 0 else ()


FAULTS = (
    Fault("kill -9", "kill"),
    Fault("kill -9 of the server", servers=NETWORKED, strike=_kill_server, heal=_start_server),
    Fault("connection cut", servers=NETWORKED, strike=_cut),
    Fault("full disk", strike=_fill, heal=_empty, needs=_refuse_without_mounts),
    Fault("read-only directory", strike=_close_directories, heal=_open_directories, hooks=_no_privileges()),
    Fault("asleep past the lease", "stop", strike=_outlive_lease),
    Fault("clock jump", strike=_jump, heal=_set_right, needs=_refuse_without_faketime),
    Fault("again", ""),
)


def find(name: str) -> Fault:
    """A fault by its name."""
    return next(fault for fault in FAULTS if fault.name == name)


def need_proxy(names: Collection[str]) -> bool:
    """Whether some faults cut connections; a way that can be cut is slower than a straight one."""
    return not {"connection cut", "asleep past the lease"}.isdisjoint(names)
