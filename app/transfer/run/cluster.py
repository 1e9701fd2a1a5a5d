"""Workers of a Dask cluster that do parts of a run's work; each is looked at before it is given any."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
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
SHOWN = 5


class Cluster(Workers):
    """The workers of a scheduler that runs already; nothing of it is started or ended.

    :param reach: what a worker is asked before it is given a part, with its arguments: why it does not reach the
        server. It has a password, which is why it goes to nobody before the way there was looked at.
    """

    are_elsewhere: ClassVar[bool] = True

    def __init__(self, address: ClusterAddress, reach: Callable[..., str], *arguments: object) -> None:
        super().__init__(0)
        self._address, self._reach, self._arguments = address, reach, arguments
        self._client: Any = None
        self._known: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._executors: dict[tuple[str, ...], Executor] = {}

    @property
    def are_there(self) -> bool:
        return self._client is not None

    def begin(self) -> None:
        """Connect, and look at every worker.

        :raises Misconfigured: the extra is not installed, certificates are lacking, or workers are of another version.
        :raises ClusterLost: no scheduler answers, it has no worker, or none reaches the target's server.
        """
        self._client = connect(self._address)
        try:
            self._require_workers(self._client)
        except BaseException:
            self.close()
            raise

    def _require_workers(self, client: Any) -> None:
        """:raises Misconfigured, ClusterLost: see :meth:`begin`."""
        try:
            client.wait_for_workers(1, timeout=self._address.wait_s)
        except (TimeoutError, OSError) as error:
            words = f"The Dask scheduler at {self._address} has had no worker for {self._address.wait_s:g} s."
            raise ClusterLost(words, hint="Start workers, then run the command again.") from error
        self._look_at_workers()
        if self._refused:
            self._refuse()

    def _look_at_workers(self) -> None:
        """Ask those that came since what they are."""
        there = self._list_workers()
        new = [address for address in there if address not in self._known and address not in self._refused]
        self._refused |= {address: words for address in new if (words := _refuse_way(address))}
        strangers = [address for address in new if address not in self._refused]
        if strangers:
            answers = {one: self._only(one).submit(look_here, self._reach, *self._arguments) for one in strangers}
            self._refused |= {one: words for one in strangers if (words := self._refuse_answer(answers[one]))}
        self._known = {address: worker["nthreads"] for address, worker in there.items() if address not in self._refused}
        self.most = sum(self._known.values())

    def _list_workers(self) -> Mapping[str, Any]:
        """:raises ClusterLost: the scheduler is gone."""
        try:
            workers: Mapping[str, Any] = self._alive().scheduler_info(n_workers=-1)["workers"]
        except OSError as error:
            raise self._say_lost("The Dask scheduler at {} is gone.") from error
        return workers

    def _only(self, *workers: str) -> Executor:
        """None but these."""
        executor: Executor = self._alive().get_executor(pure=False, workers=list(workers), allow_other_workers=False)
        return executor

    def _refuse_answer(self, answer: Future[WorkerHere]) -> str:
        """Why a worker that is asked what it is cannot help; an empty text where it can."""
        try:
            return _refuse(answer.result(CONNECT_S))
        except CancelledError:
            raise self._say_lost("The Dask scheduler at {} is gone.") from None
        except TimeoutError:
            return f"it has not answered for {CONNECT_S:g} s"
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
            details=["The live database is unchanged."],
            hint="Run the command again when it is back, or without FERRY_EXECUTOR.",
        )

    @property
    def executor(self) -> Executor:
        """The workers that were looked at; others that come are looked at first."""
        self._look_at_workers()
        if not self._known:
            raise self._say_lost("The Dask scheduler at {} has no worker left that can help.")
        workers = tuple(sorted(self._known))
        if workers not in self._executors:
            self._executors[workers] = self._only(*workers)
        return self._executors[workers]

    def submit(self, work: Callable[..., T], *arguments: object) -> Future[T]:
        """Let one of them carry out a part, or another one where that one ends.

        :raises ClusterLost: the scheduler is gone, or all workers are.
        """
        return self.executor.submit(work, *arguments)

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
            if time.monotonic() - start > self._address.wait_s:
                raise self._say_lost(f"No part was done for {self._address.wait_s:g} s by the Dask cluster at {{}}.")

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


def _refuse(answer: WorkerHere) -> str:
    """Why a worker that says this of itself cannot help; an empty text where it can."""
    if answer.python != python_version():
        return f"it has Python {answer.python}, and the run Python {python_version()}"
    if answer.code != code_digest():
        return "it has another version of Flask-Ferry than the run"
    return answer.problem
