"""``flask`` as it was before what is written meanwhile was brought over: a whole pass while writers wait."""

from __future__ import annotations

from flask.cli import main

from app.dialects.model import LateWrite
from app.transfer.jobs.self_job import SelfJob


def _refuse(_job: SelfJob) -> bool:
    return False


def _give_up(_job: SelfJob) -> None:
    raise LateWrite


if __name__ == "__main__":
    SelfJob.approach = _refuse  # type: ignore[method-assign] # so that the rest is the very same
    SelfJob._finish_copy = _give_up  # type: ignore[method-assign,assign]
    main()
