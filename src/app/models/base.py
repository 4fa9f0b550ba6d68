"""The base class of the tables, and column types with one meaning on SQLite and MySQL."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base class of every table: named constraints, and on MySQL transactions and all of Unicode."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        }
    )
    __table__: ClassVar[Table]
    __table_args__: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A time: aware UTC in Python, naive UTC in the database. Raises ValueError for naive values."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:  # astimezone() would assume the time zone of the machine
            raise ValueError(f"{value} has no time zone: use app.lib.clock.now(), or datetime.now(UTC)")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class DecimalNumber(sa.types.TypeDecorator[Decimal]):
    """A decimal number: `DecimalNumber(12, 2)` has 12 digits, two of them after the point.

    SQLite has no such type and stores a float, which is exact up to 15 digits; a sum in SQL may not be.
    """

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the type, on SQLite one for floats: SQLAlchemy would warn of the loss."""
        numeric: Any = self.impl_instance
        options: Any = {"asdecimal": dialect.name != "sqlite"}
        return dialect.type_descriptor(sa.Numeric(numeric.precision, numeric.scale, **options))

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> Decimal | None:
        numeric: Any = self.impl_instance
        return None if value is None else round(Decimal(str(value)), numeric.scale)


def case_sensitive_string(length: int, charset: str = "ascii") -> sa.types.TypeEngine[str]:
    """Return a string type compared character by character.

    The default collations of MySQL treat mike and mıke, and any two emoji, as equal.
    """
    binary = mysql.VARCHAR(length, charset=charset, collation=f"{charset}_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")
