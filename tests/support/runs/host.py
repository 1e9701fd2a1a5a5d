"""The reference app with an Alembic history of the test's own: what a later release of it would be."""

from __future__ import annotations

import os

from flask import Flask

from app import create_app as create_reference_app

MIGRATIONS = "HOST_MIGRATIONS"
HOST = "tests.support.runs.host:create_app"


def create_app() -> Flask:
    """The app; its scripts are in the directory that the environment names."""
    app = create_reference_app()
    app.extensions["migrate"].directory = os.environ[MIGRATIONS]
    return app
