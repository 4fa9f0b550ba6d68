"""Column types that mean the same on SQLite and on MySQL."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import mysql


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment: aware UTC in Python, plain UTC in the database."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def exact(length: int, charset: str = "ascii") -> sa.types.TypeEngine[str]:
    """Text compared character by character. MySQL's ordinary collations take mike for mıke and emoji for emoji."""
    binary = mysql.VARCHAR(length, charset=charset, collation=f"{charset}_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")
