"""The database: `db.read` and `db.write` run service functions."""

from app.lib.db.database import DatabaseUnavailable, db

__all__ = ["DatabaseUnavailable", "db"]
