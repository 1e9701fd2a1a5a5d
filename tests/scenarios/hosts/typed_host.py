"""What a host with strict types writes."""

from pathlib import Path

from flask import Flask, abort
from flask_ferry.commands import bp
from flask_ferry.commands.functions import backup_database, extract_data, read_data_from_json
from flask_ferry.errors import ExitStatus, FerryError
from flask_ferry.export import export_blueprint
from flask_ferry.transfer.adapters import adapter


def authorize() -> None:
    abort(401)


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(bp)
    app.register_blueprint(export_blueprint(authorize=authorize))
    return app


def keep(uri: str) -> int:
    try:
        where: str = backup_database(uri, "kept.sqlite3")
    except FerryError as error:
        status: ExitStatus = error.exit_status
        return status
    print(where)
    return 0


def count(cookies: dict[str, str]) -> dict[str, int]:
    kept = {name: sum(1 for _ in records) for name, records in read_data_from_json(Path("data.json")).items()}
    return kept | {name: sum(1 for _ in records) for name, records in extract_data(cookies).items()}


__all__ = ["adapter", "count", "create_app", "keep"]
