"""What MySQL and MariaDB call their settings, by version."""

from __future__ import annotations

from dataclasses import dataclass

_OF_MARIADB = (
    ((10, 1), "max_statement_time = 0"),
    ((10, 2), "check_constraint_checks = 1"),
    ((10, 3), "idle_transaction_timeout = 0"),
    ((10, 3), "idle_readonly_transaction_timeout = 0"),
)
_OF_MYSQL = (
    ((5, 7, 8), "max_execution_time = 0"),
    ((8, 0), "information_schema_stats_expiry = 0"),
    # Or a copy would be without them.
    ((8, 0, 30), "show_gipk_in_create_table_and_information_schema = 1"),
)


@dataclass(frozen=True)
class Version:
    """What a server says it is; ``numbers`` are e.g. (10, 11, 19), ``text`` is what they stand in.

    :ivar folds: 0 where it compares names as they are, else how it does not (MySQL manual, 11.2.3).
    """

    is_mariadb: bool
    numbers: tuple[int, ...]
    text: str = ""
    folds: int = 0

    def __str__(self) -> str:
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {'.'.join(map(str, self.numbers))}"

    @property
    def settings(self) -> list[str]:
        """The settings of a session that this server knows and others do not."""
        return [text for since, text in (_OF_MARIADB if self.is_mariadb else _OF_MYSQL) if self.numbers >= since]

    @property
    def isolation(self) -> str:
        """The setting with which a transaction reads one instant."""
        return f"{self._of_transactions}_isolation = 'REPEATABLE-READ'"

    @property
    def read_only(self) -> str:
        """The setting with which no transaction writes."""
        return f"{self._of_transactions}_read_only = 1"

    @property
    def _of_transactions(self) -> str:
        has_new_name = self.numbers >= ((11, 1) if self.is_mariadb else (5, 7, 20))
        return "transaction" if has_new_name else "tx"
