"""The Flask CLI command extension: one Blueprint that registers the ``flask db-...`` commands.

Another app does::

    from flask_ferry.commands import bp

    app.register_blueprint(bp)
"""

from .blueprint import bp

__all__ = ["bp"]
