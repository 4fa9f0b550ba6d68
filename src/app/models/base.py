"""The base class of the tables."""

from typing import Any, ClassVar

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Names the constraints of every table. On MySQL: transactions, and the whole of Unicode."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        }
    )
    __table__: ClassVar[Table]
    __table_args__: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
