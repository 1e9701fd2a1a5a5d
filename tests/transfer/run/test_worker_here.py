"""What a worker says of itself."""

from __future__ import annotations

import sys

from app.transfer.run.worker_here import WorkerHere, code_digest, look_here, python_version


def test_a_worker_says_what_it_is() -> None:
    assert look_here() == WorkerHere(python_version(), code_digest())
    assert sys.version.startswith(python_version() + ".")
    assert len(code_digest()) == 32
