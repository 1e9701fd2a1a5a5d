"""The Flask CLI command extension: one Blueprint that registers the ``flask db-...`` commands.

Another app does::

    from flask_ferry.commands import bp

    app.register_blueprint(bp)
"""

from .versions import refuse_older

refuse_older()

# Not before: they fail on older libraries in ways that say nothing.
from . import adopt, backup, initialise, migrate, restore, rollback, status, verify  # noqa: E402, F401
from .blueprint import bp  # noqa: E402

__all__ = ["bp"]
