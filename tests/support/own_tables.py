"""Rows of a user in the tables that a developer has added, whichever those are."""

import uuid
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from quart import Quart

from app.lib import clock
from app.models import Base
from support.actions import execute, scalars
from support.app import CORE_TABLES

# By the type of the column; the first that matches counts.
VALUES: dict[type[sa.types.TypeEngine[Any]], Any] = {
    sa.JSON: {},
    sa.Uuid: uuid.UUID(int=1),
    sa.Interval: timedelta(1),
    sa.Time: time(12),
    sa.Boolean: True,
    sa.Float: 1.0,
    sa.Numeric: Decimal(1),
    sa.Integer: 1,
    sa.Date: clock.now().date(),
    sa.LargeBinary: b"x",
    sa.String: "x",
}


async def add_rows(app: Quart, user_id: int) -> None:
    """Add a row of the user to each table with a `user_id` that has none yet."""
    for table in Base.metadata.sorted_tables:
        if table.name in CORE_TABLES and "user_id" in table.columns:
            rows = sa.select(sa.func.count()).select_from(table).where(table.c.user_id == user_id)
            if await scalars(app, rows) == [0]:
                await execute(app, sa.insert(table).values(values_of(table) | {"user_id": user_id}))


def values_of(table: sa.Table) -> dict[str, Any]:
    """Return a value for each column that needs one."""
    needed = [column for column in table.columns if not (column.primary_key or column.nullable or column.default)]
    return {column.name: value_of(column.type) for column in needed}


def value_of(kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, sa.Enum):
        return kind.enum_class(next(iter(kind.enum_class))) if kind.enum_class else kind.enums[0]
    plain = kind.impl_instance if isinstance(kind, sa.types.TypeDecorator) else kind
    return next((value for known, value in VALUES.items() if isinstance(plain, known)), clock.now())
