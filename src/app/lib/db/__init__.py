"""The database: `db.read` and `db.write` run service functions."""

from app.lib.db.database import db
from app.lib.db.errors import DatabaseUnavailable

__all__ = ["DatabaseUnavailable", "db"]
