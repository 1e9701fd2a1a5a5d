"""An old deployment, as the scenarios have it."""

from tests.scenarios.sources.conftest import newer, paged_database  # noqa: F401 # fixtures
