"""MySQL and MariaDB. Tested by ``tests/dialects/mysql``."""
