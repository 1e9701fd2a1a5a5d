"""The Blueprint itself; the modules of the commands are imported before it is given out."""

from __future__ import annotations

from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState

from ..errors import Misconfigured

bp = Blueprint("ferry", __name__, cli_group=None)


@bp.record
def refuse_same_names(state: BlueprintSetupState) -> None:
    """Refuse a host that has a command of the same name: Flask would replace it without a word.

    :raises Misconfigured: names the commands; or it puts ours into a group, where no hint and no deploy hook find them.
    """
    if group := state.options.get("cli_group"):
        raise Misconfigured(
            f"The commands cannot be in a group ({group}): every message names them as flask db-...",
            hint="app.register_blueprint(bp), without cli_group.",
        )
    if same := sorted(set(bp.cli.commands) & set(state.app.cli.commands)):
        raise Misconfigured(f"The app has commands of the same name already: {', '.join(same)}.")


def refuse_replaced(app: Flask) -> None:
    """Refuse to run where the host added a command of the same name later: then ours was replaced.

    :raises Misconfigured: names the commands.
    """
    ours = bp.cli.commands
    if same := sorted(name for name in ours if app.cli.commands.get(name, ours[name]) is not ours[name]):
        raise Misconfigured(
            f"The app replaced commands by some of the same name: {', '.join(same)}.",
            hint="Give the app's own ones other names.",
        )
