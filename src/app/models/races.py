"""Two who want the same rows at once: one of them begins again."""

import sqlite3

from sqlalchemy import exc

MYSQL_LOST_RACES = {1020, 1205, 1213}  # record changed, lock wait timeout, deadlock
SQLITE_LOST_RACES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class LostRace(Exception):
    """A verb found that another one was quicker. `db.write` runs it again, and it finds what the other one wrote."""


def lost_a_race(error: LostRace | exc.DBAPIError) -> bool:
    """Say whether it can be run again: nothing is wrong but that another one was quicker."""
    if isinstance(error, LostRace):
        return True
    if isinstance(error.orig, Exception) and error.orig.args and error.orig.args[0] in MYSQL_LOST_RACES:
        return True
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in SQLITE_LOST_RACES
