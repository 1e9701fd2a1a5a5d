"""The Blueprint itself; the modules of the commands are imported before it is given out."""

from __future__ import annotations

from flask import Blueprint
from flask.blueprints import BlueprintSetupState

from ..errors import Misconfigured

bp = Blueprint("ferry", __name__, cli_group=None)


@bp.record
def refuse_same_names(state: BlueprintSetupState) -> None:
    """Refuse a host that has a command of the same name: Flask would replace it without a word.

    :raises Misconfigured: names the commands.
    """
    if same := sorted(set(bp.cli.commands) & set(state.app.cli.commands)):
        raise Misconfigured(f"The app has commands of the same name already: {', '.join(same)}.")
