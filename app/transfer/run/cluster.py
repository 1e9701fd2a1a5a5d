"""Workers of a Dask cluster that do parts of a run's work; each is looked at before it is given any."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from ...dialects.network import is_loopback
from ...dialects.wording import count_of
from ...errors import ClusterLost, Misconfigured
from .cluster_address import ClusterAddress
from .cluster_connect import CONNECT_S, connect
from .worker_here import WorkerHere, code_digest, look_here, python_version
from .workers import Workers

T = TypeVar("T")
LOOK_S = 0.5
"""How often it is looked, while a part is waited for, whether the scheduler is still there."""
LOOK_AGAIN_S = 3.0
"""How often it is looked which workers there are."""
ANSWER_S = 60.0
"""For an answer of a scheduler that is there."""
SLOWEST = 1 << 20
"""Of a worker's parts, in bytes in a second: one that is seen at work on a part has so much time for it."""
SHOWN = 5
KEYS = "flask-ferry"
"""How the names of parts begin, which a cluster's own pages show."""


class Cluster(Workers):
    """The workers of a scheduler that runs already; nothing of it is started or ended.

    :param reach: what a worker is asked before it is given a part, with its arguments: why it does not reach the
        server. It has a password, which is why it goes to nobody before the way there was looked at, and what it is.
    :param note: is told of workers that are not used.
    """

    are_elsewhere: ClassVar[bool] = True

    def __init__(
        self,
        address: ClusterAddress,
        reach: Callable[..., str],
        *arguments: object,
        note: Callable[[str], object] = lambda _words: None,
    ) -> None:
        super().__init__(0)
        self._address, self._reach, self._arguments, self._note = address, reach, arguments, note
        self._client: Any = None
        self._looked_at = -LOOK_AGAIN_S
        # Those that are asked: first what they are, and, where they are what the run is, what they reach.
        self._asked: dict[str, Future[Any]] = {}
        self._alike = set[str]()
        self._can_help = set[str]()
        self._refused: dict[str, str] = {}
        self._known: dict[str, int] = {}
        self._executors: dict[tuple[str, ...], Any] = {}
        self._parts: dict[Future[Any], tuple[str, int]] = {}
        self._count, self._done_at, self._has_begun = 0, 0.0, False

    @property
    def are_there(self) -> bool:
        return self._client is not None

    def begin(self) -> None:
        """Connect, and look at every worker.

        :raises Misconfigured: the extra is not installed, certificates are lacking, or workers are of another version.
        :raises ClusterLost: no scheduler answers, it has no worker, none answers, or none reaches the target's server.
        """
        self._client = connect(self._address)
        try:
            self._require_workers()
        except BaseException:
            self.close()
            raise

    def _require_workers(self) -> None:
        """Ask all at once; one that is busy with something else is not waited for where another one answers.

        :raises Misconfigured, ClusterLost: see :meth:`begin`.
        """
        start = time.monotonic()
        while not self._known or (self._asked and time.monotonic() - start < CONNECT_S):
            if time.monotonic() - start > self._address.wait_s:
                words = f"No worker of the Dask cluster at {self._address} has answered for {self._address.wait_s:g} s."
                if not self._asked:
                    words = f"The Dask scheduler at {self._address} has had no worker for {self._address.wait_s:g} s."
                raise ClusterLost(words, hint="Start workers that are not busy, then run the command again.")
            self._look_at_workers()
            if self._refused:
                self._refuse()
            if self._asked:
                concurrent.futures.wait(self._asked.values(), LOOK_S)
            elif not self._known:
                time.sleep(LOOK_S / 5)
        self._has_begun = True
        if self._asked:
            self._note(f"Not yet of use on {self._address}, as they do not answer: {', '.join(sorted(self._asked))}.")

    def _look_at_workers(self) -> None:
        """Ask those that came since what they are, and go on with those that answered."""
        there = self._list_workers()
        self._looked_at = time.monotonic()
        self._asked = {address: answer for address, answer in self._asked.items() if address in there}
        for address in there.keys() - self._asked.keys() - self._can_help - self._refused.keys():
            if words := _refuse_way(address):
                self._refuse_one(address, words)
            else:
                self._asked[address] = self._only(address).submit(look_here, priority=1)
        for address in [address for address, answer in self._asked.items() if answer.done()]:
            self._go_on(address, self._asked.pop(address))
        self._known = {address: worker["nthreads"] for address, worker in there.items() if address in self._can_help}
        self.most = sum(self._known.values())

    def _go_on(self, address: str, answer: Future[Any]) -> None:
        """Take or refuse a worker; or ask one that is what the run is what it reaches, which tells it the password."""
        if words := self._refuse_answer(answer):
            self._refuse_one(address, words)
        elif address in self._alike:
            self._can_help.add(address)
        else:
            self._alike.add(address)
            self._asked[address] = self._only(address).submit(self._reach, *self._arguments, priority=1)

    def _refuse_one(self, address: str, words: str) -> None:
        self._refused[address] = words
        if self._has_begun:
            self._note(f"The worker {address} is not used: {words}.")

    def _list_workers(self) -> Mapping[str, Any]:
        """:raises ClusterLost: the scheduler is gone, or does not answer."""
        scheduler = self._alive().scheduler
        workers: Mapping[str, Any] = self._ask(scheduler.identity, n_workers=-1)["workers"]
        return workers

    def _ask(self, question: Callable[..., Any], **arguments: object) -> Any:
        """An answer of the scheduler's, which may stand still.

        :raises ClusterLost: none comes.
        """
        limit_s = min(self._address.wait_s, ANSWER_S)
        try:
            return self._alive().sync(question, callback_timeout=limit_s, **arguments)
        except TimeoutError:
            raise self._say_lost(f"The Dask scheduler at {{}} has not answered for {limit_s:g} s.") from None
        except (OSError, RuntimeError) as error:
            raise self._say_lost("The Dask scheduler at {} is gone.") from error

    def _only(self, *workers: str) -> Any:
        """An executor of none but these."""
        return self._alive().get_executor(pure=False, workers=list(workers), allow_other_workers=False)

    def _refuse_answer(self, answer: Future[Any]) -> str:
        """Why a worker that has answered cannot help; an empty text where it can."""
        try:
            return _refuse(answer.result(0))
        except CancelledError:
            raise self._say_lost("The Dask scheduler at {} is gone.") from None
        except Exception as error:  # noqa: BLE001 # whatever it is, this worker is given nothing
            return f"it cannot carry out parts ({type(error).__name__}: {error})"

    def _refuse(self) -> None:
        details = [f"{address}: {words}" for address, words in sorted(self._refused.items())[:SHOWN]]
        raise Misconfigured(
            f"Of the Dask cluster at {self._address} {count_of(len(self._refused), 'worker')} cannot help.",
            details=details,
            hint="Give all workers the app's own environment, then run the command again.",
        )

    def _alive(self) -> Any:
        """:raises ClusterLost: the scheduler is gone."""
        if self._client is None or self._client.status != "running":
            raise self._say_lost("The Dask scheduler at {} is gone.")
        return self._client

    def _say_lost(self, words: str) -> ClusterLost:
        return ClusterLost(
            words.format(self._address),
            hint="Run the command again when it is back, or without FERRY_EXECUTOR.",
        )

    @property
    def executor(self) -> Any:
        """The workers that were looked at; others that come are looked at first.

        :raises ClusterLost: the scheduler is gone, or all workers are.
        """
        self._alive()
        if not self._known or time.monotonic() - self._looked_at > LOOK_AGAIN_S:
            self._look_at_workers()
        if not self._known:
            raise self._say_lost("The Dask scheduler at {} has no worker left that can help.")
        workers = tuple(sorted(self._known))
        if workers not in self._executors:
            self._executors[workers] = self._only(*workers)
        return self._executors[workers]

    def submit(self, work: Callable[..., T], *arguments: object, size: int = 0) -> Future[T]:
        """Let one of them carry out a part, or another one where that one ends; the first ones first.

        :raises ClusterLost: the scheduler is gone, or all workers are.
        """
        executor, key = self.executor, f"{KEYS}-{uuid.uuid4().hex}"
        if not self._parts:
            self._done_at = time.monotonic()
        self._count += 1
        part: Future[T] = executor.submit(work, *arguments, key=key, priority=-self._count)
        self._parts[part] = key, size
        part.add_done_callback(self._note_done)
        return part

    def _note_done(self, part: Future[Any]) -> None:
        self._parts.pop(part, None)
        self._done_at = time.monotonic()

    def wait_for(self, part: Future[T]) -> T | None:
        """What became of a part; None where it failed, however, on all that tried it.

        :raises ClusterLost: the scheduler is gone, or no part was done for too long.
        """
        self.wait_any([part])
        try:
            return part.result()
        except CancelledError:
            raise self._say_lost("The Dask scheduler at {} gave up what it was given.") from None
        except Exception:  # noqa: BLE001 # nothing is lost: the run does the part again, and meets what is wrong itself
            return None

    def wait_any(self, parts: Sequence[Future[Any]]) -> None:
        """Wait until one of some parts is done.

        :raises ClusterLost: the scheduler is gone, or no part was done for too long.
        """
        start = time.monotonic()
        while not concurrent.futures.wait(parts, LOOK_S, concurrent.futures.FIRST_COMPLETED).done:
            self._alive()
            # Any part counts: those that are waited for may stand behind others.
            waited_s = time.monotonic() - max(start, self._done_at)
            if waited_s > self._address.wait_s and waited_s > self._allow_s():
                raise self._say_lost(f"No part was done for {waited_s:.0f} s by the Dask cluster at {{}}.")

    def _allow_s(self) -> float:
        """How long those parts may take that workers are at: by their size.

        :raises ClusterLost: the scheduler does not answer.
        """
        sizes = dict(list(self._parts.values()))
        if not any(sizes.values()):
            return 0.0
        at_work = self._ask(self._alive().scheduler.processing, workers=None)
        return max((sizes.get(key, 0) for keys in at_work.values() for key in keys), default=0) / SLOWEST

    def close(self) -> None:
        """Take back what is not done, and leave the cluster alone; what it is still at is of no consequence."""
        client, self._client = self._client, None
        self._executors.clear()
        if client is not None:
            with contextlib.suppress(OSError, TimeoutError):
                client.close(timeout=LOOK_S * 4)


def _refuse_way(address: str) -> str:
    """Why a password may not go to a worker; an empty text where it may."""
    url = urlsplit(address)
    if url.scheme == "tls" or url.scheme == "inproc" or is_loopback(url.hostname or ""):
        return ""
    return "it is spoken to without TLS, and the database's password would go there"


def _refuse(answer: WorkerHere | str) -> str:
    """Why a worker that says this cannot help; an empty text where it can."""
    if isinstance(answer, str):
        return answer
    if answer.python != python_version():
        return f"it has Python {answer.python}, and the run Python {python_version()}"
    if answer.code != code_digest():
        return "it has another version of Flask-Ferry than the run"
    return ""
