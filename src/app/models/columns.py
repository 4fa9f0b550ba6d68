"""Column types that mean the same on SQLite and on MySQL."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import mysql


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A point in time: aware UTC in Python, naive UTC in the database. Refuses naive values with ValueError."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:  # astimezone() would take it for the time zone of the machine
            raise ValueError(f"{value} has no time zone: use app.models.clock.now(), or datetime.now(UTC)")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def exact(length: int, charset: str = "ascii") -> sa.types.TypeEngine[str]:
    """Return a string type compared character by character.

    The default collations of MySQL treat mike and mıke, and any two emoji, as equal.
    """
    binary = mysql.VARCHAR(length, charset=charset, collation=f"{charset}_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")
