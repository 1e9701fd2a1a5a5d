"""``make demo``: an old deployment is started, everything it holds is migrated, and the new app serves it.

Everything lies in ``.demo/`` beside the README (or in ``FERRY_DEMO``), made afresh each time; nothing is left running.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.support.deployment.runner import Deployment

ROOT = Path(__file__).resolve().parents[2]
DEMO = Path(os.environ.get("FERRY_DEMO", ROOT / ".demo"))
START_S = 20.0


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def environment(deployment: Deployment) -> dict[str, str]:
    """The new app's configuration: defaults, but for where its instance folder is and what its source is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "DB_", "DATABASE"))}
    return {
        **kept,
        "FLASK_APP": "app",
        "FLASK_SKIP_DOTENV": "1",
        "FLASK_INSTANCE_PATH": str(DEMO / "new"),
        "FLASK_FERRY_SOURCE": deployment.url,
        "FLASK_FERRY_SOURCE_UID": deployment.uid,
        "FLASK_FERRY_SOURCE_PASSWORD": deployment.password,
    }


def flask(env: dict[str, str], *arguments: str) -> None:
    print(f"$ flask {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "flask", *arguments], cwd=ROOT, env=env, check=True)


@contextlib.contextmanager
def served(env: dict[str, str]) -> Iterator[str]:
    """The new app as a real server on a free loopback port."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        port, descriptor = bound.getsockname()[1], bound.fileno()
        command = ["gunicorn", "--bind", f"fd://{descriptor}", "--log-level", "error", "app:create_app()"]
        server = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=env, pass_fds=[descriptor])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=START_S)


def log_in(url: str, uid: str, password: str) -> dict[str, str]:
    """Log in once the server answers; returns the cookies."""
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(requests.ConnectionError):
            answer = requests.post(f"{url}/api/authenticate", json={"uid": uid, "password": password}, timeout=10)
            answer.raise_for_status()
            return dict(answer.cookies)
        if time.monotonic() > deadline:
            raise TimeoutError("the new app did not start")
        time.sleep(0.1)


def main() -> None:
    shutil.rmtree(DEMO, ignore_errors=True)
    (DEMO / "new").mkdir(parents=True)
    say("An old deployment with its classic API (a real server on loopback, made-up data)")
    with Deployment(DEMO / "old") as deployment:
        print(f"{deployment.url} serves {sum(deployment.counts().values())} rows of {len(deployment.counts())} tables")
        env = environment(deployment)
        say("Everything it holds goes into the new schema: backed up, verified, cut over in one step")
        flask(env, "db-migrate-data", "--yes")
        say("The same line in the next deploy hook")
        flask(env, "db-migrate-data", "--yes")
        uid, password = deployment.plain_uid, deployment.plain_password
    say(f"The old deployment is stopped; the new app logs in its user {uid!r} with the old password")
    with served(env) as url:
        cookies = log_in(url, uid, password)
        users = requests.get(f"{url}/api/user", cookies=cookies, timeout=10).json()
        own = next(user for user in users if user["uid"] == uid)
        print(f"GET {url}/api/user answers {len(users)} users; {uid} is:")
        print(json.dumps({name: own[name] for name in ("id", "uid", "name", "role", "sections")}, ensure_ascii=False))
    say(f"All of it lies in {DEMO}/new (database, backup, snapshot, receipt). To look at it, and to go back:")
    program = Path(sys.executable).with_name("flask")
    print(f"export FLASK_INSTANCE_PATH={shlex.quote(str(DEMO / 'new'))}")
    print(f"{program} db-status\n{program} db-rollback\nunset FLASK_INSTANCE_PATH")


if __name__ == "__main__":
    main()
