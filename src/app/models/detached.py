"""Rows that were read without the ORM, as the objects that it would have made of them.

Its events and criteria (`with_loader_criteria`) do not reach such a query: who is not to be found stands in its WHERE.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from app.models.core import Base

Row = TypeVar("Row", bound=Base)


def detached(kind: type[Row], columns: Mapping[str, Any], **related: Any) -> Row:
    """Return an object as if it had been loaded and its session closed: what it is not given, it does not know."""
    made = kind()
    vars(made).update(columns)
    for name, value in related.items():
        set_committed_value(made, name, value)
    make_transient_to_detached(made)
    return made
