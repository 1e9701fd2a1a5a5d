"""``FERRY_STORAGE``: backups in a bucket of a real S3 server, and everything that can be wrong there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyrage import x25519

from tests.support.local import Local, hold, refused
from tests.support.runs.commands import until
from tests.support.site import content, end
from tests.support.storage import BUCKET, S3Server


@pytest.fixture
def kept(changed: Local, s3: S3Server, tmp_path: Path) -> Local:
    """An app whose backups go to a bucket as well."""
    changed.environ |= s3.environ | {"FLASK_FERRY_STORAGE": f"s3://{BUCKET}/{tmp_path.name}"}
    return changed


def forget(site: Local) -> None:
    """The machine is another one: there are no backups here."""
    for file in site.backups.iterdir():
        if file.name != ".gitignore":
            file.unlink()


def test_a_backup_goes_there_is_listed_drilled_and_comes_back(kept: Local, s3: S3Server) -> None:
    """Encrypted, so that who reads the bucket has no row; no secret is in any output."""
    identity = x25519.Identity.generate()
    file = kept.directory / "identity.txt"
    file.write_text(str(identity))
    file.chmod(0o600)
    kept.environ |= {"FLASK_FERRY_BACKUP_KEY": str(identity.to_public())}
    live = kept.content()
    outputs = [kept.ok("db-backup")]
    assert "in s3://kept/" in outputs[0].last_line
    assert outputs[0].last_line.endswith(" (encrypted)")
    refused(kept.run("db-backup", "--drill"), 2, "no identity", "FERRY_BACKUP_IDENTITY")
    kept.environ |= {"FLASK_FERRY_BACKUP_IDENTITY": str(file)}
    outputs.append(kept.ok("db-backup", "--drill"))
    assert "was fetched from s3://kept/" in outputs[-1].last_line
    (made,) = kept.kept()
    forget(kept)
    kept.write("DELETE FROM sections WHERE id = 77")
    outputs.append(kept.ok("db-restore", "--yes"))
    assert kept.content() == live == content(made)
    outputs += [kept.ok("db-backup", "--list"), kept.ok("db-status", "-v")]
    assert "2 in s3://kept/" in outputs[-2].last_line
    for key, text in s3.objects(BUCKET).items():
        assert b"Theirs" not in text, key
    for output in outputs:
        for secret in (s3.environ["AWS_SECRET_ACCESS_KEY"], s3.environ["AWS_ACCESS_KEY_ID"], str(identity)):
            assert secret not in output.stdout + output.stderr


def test_by_url_and_what_is_wrong_with_one(kept: Local, s3: S3Server) -> None:
    kept.ok("db-backup")
    storage = kept.environ["FLASK_FERRY_STORAGE"]
    (made,) = kept.kept()
    forget(kept)
    refused(kept.run("db-restore", "--yes", f"{storage}/absent"), 21, "no backup", "live database is unchanged")
    refused(kept.run("db-restore", "--yes", f"s3://me:hunter2@{BUCKET}/x"), 2, "has a password")
    refused(kept.run("db-restore", "--yes", "s3://absent/x"), 21, "There is no 'absent'")
    kept.ok("db-restore", "--yes", f"{storage}/{made.name}")
    s3.client().put_object(Bucket=BUCKET, Key=f"{storage.rpartition('/')[2]}/{made.name}", Body=b"half")
    forget(kept)
    refused(kept.run("db-restore", "--yes", made.name), 21, "is not whole", "live database is unchanged")


def test_a_bucket_that_is_absent_stops_a_run_and_no_backup_is_lost(kept: Local) -> None:
    kept.environ["FLASK_FERRY_STORAGE"] = "s3://absent/x"
    live = kept.content()
    refused(kept.run("db-restore", "--yes", "--dry-run"), 21, "There is no 'absent'")
    refused(kept.run("db-init", "--yes"), 21, "There is no 'absent'", "live database is unchanged")
    assert kept.content() == live
    refused(kept.run("db-backup"), 21, "was made, and is not in the storage s3://absent/x")
    (made,) = kept.kept()
    assert content(made) == live


def test_a_storage_that_fails_after_the_backup_stops_the_run_with_live_unchanged(in_directory: Local) -> None:
    """The step's own hook takes the place away, when the run was let in."""
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    live = in_directory.content()
    script = in_directory.directory / "take_away.sh"
    script.write_text(f"#!/bin/sh\nrm -rf {far}\ntouch {far}\n")
    script.chmod(0o700)
    done = in_directory.run("db-init", "--yes", FLASK_FERRY_HOOKS=str(script))
    refused(done, 21, "was made, and is not in the storage", "live database is unchanged")
    assert in_directory.content() == live
    (made,) = in_directory.kept()
    assert content(made) == live
    assert in_directory.staging() == in_directory.lease() == []
    far.unlink()
    refused(in_directory.run("db-init", "--yes"), 21, f"There is no directory {far}", "live database is unchanged")
    far.mkdir()
    in_directory.ok("db-init", "--yes")
    assert len(list(far.glob("*.sqlite3"))) == 1


def test_retention_is_the_same_there(in_directory: Local) -> None:
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    for _ in range(3):
        in_directory.ok("db-backup")
    result = in_directory.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1", FLASK_FERRY_KEEP_DAYS="30")
    assert "Removed 0 backups and kept 3; in the storage 0, and kept 3" in result.last_line
    in_directory.ok("db-backup", "--prune", "--dry-run", FLASK_FERRY_KEEP="1")
    assert len(list(far.glob("*.sqlite3"))) == 3
    in_directory.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1")
    assert [file.name for file in far.glob("*.sqlite3")] == [file.name for file in in_directory.kept()]
    assert len(in_directory.kept()) == 1


def test_what_only_looks_leaves_no_file_here(in_directory: Local) -> None:
    assert in_directory.ok("db-backup").last_line.endswith(" (not encrypted)")
    (made,) = in_directory.kept()
    forget(in_directory)
    in_directory.ok("db-backup", "--check", made.stem)
    in_directory.ok("db-restore", "--dry-run")
    assert in_directory.kept() == in_directory.staging() == []


def test_what_a_killed_process_had_fetched_goes_with_the_next_command(in_directory: Local) -> None:
    """It may be a backup that was encrypted in the storage. The drill waits for the lock when it is killed."""
    in_directory.ok("db-backup")
    forget(in_directory)
    hold(in_directory, alive=True)
    drill = in_directory.start("db-backup", "--drill", "--lock-timeout", "60")
    until(lambda: list(in_directory.backups.glob(".fetched-*/private/*")) and in_directory.lease())
    (fetched,) = in_directory.backups.glob(".fetched-*/private/*.sqlite3")
    in_directory.ok("db-status")
    assert fetched.is_file()
    assert end(drill).status == -9
    assert fetched.is_file()
    in_directory.ok("db-status")
    assert [file.name for file in in_directory.backups.iterdir()] == [".gitignore"]


def test_the_backup_of_the_last_cut_over_stays_in_both_places(in_directory: Local) -> None:
    """A newer one of the same command, whose run failed behind its backup, does not push it out."""
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    in_directory.ok("db-init", "--yes")
    (of_last,) = in_directory.kept()
    in_directory.write("INSERT INTO sections (id, name, abbreviation) VALUES (78, 'Newer', 'N')")
    behind_the_backup = {"FLASK_FERRY_HOOKS": "sh -c 'test \"$HOOK_STEP\" = backup'"}
    refused(in_directory.run("db-init", "--yes", **behind_the_backup), 1, "before the step staging")
    in_directory.ok("db-backup")
    in_directory.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1")
    for place in (in_directory.backups, far):
        assert (place / of_last.name).is_file()
        assert len(list(place.glob("*.sqlite3"))) == 3


def test_what_has_not_our_seal_is_refused_and_does_not_come_to_lie_among_the_backups(in_directory: Local) -> None:
    in_directory.ok("db-backup")
    (made,) = in_directory.kept()
    live, backup_id = in_directory.content(), made.name.removesuffix(".sqlite3")
    forget(in_directory)
    other = {"FLASK_FERRY_BACKUP_KEY": "the key of another database"}
    # By default it is not even taken; the message says which there are.
    refused(in_directory.run("db-restore", "--yes", **other), 21, "There is no backup of", f"an ID ({backup_id})")
    refused(in_directory.run("db-backup", "--drill", **other), 21, "There is no backup of", f"an ID ({backup_id})")
    result = in_directory.run("db-restore", "--yes", backup_id, **other)
    refused(result, 20, "does not have this database's seal", f" {backup_id} --trust-file")
    refused(in_directory.run("db-backup", "--check", backup_id, **other), 21, f"{backup_id} --trust-file")
    assert in_directory.kept() == in_directory.staging() == []
    in_directory.write("DELETE FROM sections WHERE id = 77")
    in_directory.ok("db-restore", "--yes", backup_id, "--trust-file", **other)
    assert in_directory.content() == live


def test_a_forged_card_is_not_the_newest(in_directory: Local) -> None:
    """With a date of 2099, beside a copy of a real backup; the real one is drilled and put back."""
    in_directory.ok("db-backup")
    (made,) = in_directory.kept()
    live, far = in_directory.content(), Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    values = json.loads((far / f"{made.name}.ferry.json").read_text())
    forged = {"id": "app-newest", "file": "app-newest.sqlite3", "made_at": "2099-01-01T00:00:00.000Z", "name": "x"}
    shutil.copy(far / made.name, far / "app-newest.sqlite3")
    (far / "app-newest.sqlite3.ferry.json").write_text(json.dumps(values | forged))
    drill = in_directory.ok("db-backup", "--drill")
    assert f"The newest backup, {made.name.removesuffix('.sqlite3')} of" in drill.last_line
    assert "an ID (app-newest)" in drill.stderr
    forget(in_directory)
    in_directory.write("DELETE FROM sections WHERE id = 77")
    refused(in_directory.run("db-restore", "--yes", "app-newest"), 20, "seal", " app-newest --trust-file")
    refused(in_directory.run("db-restore", "--yes", "app-newest", "--trust-file"), 21, "what the manifest in it says")
    in_directory.ok("db-restore", "--yes")
    assert in_directory.content() == live


def test_without_the_extra_it_is_named(in_directory: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = {name for name in sys.modules if name.partition(".")[0] in ("fsspec", "pyrage")}
    for name in loaded | {"fsspec.core", "pyrage"}:
        monkeypatch.setitem(sys.modules, name, None)
    refused(in_directory.run("db-backup"), 2, 'pip install "flask-ferry[storage]"')
    assert in_directory.kept() == []


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    code = "import sys, app.commands; print(sorted({'fsspec', 's3fs', 'pyrage', 'botocore'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
