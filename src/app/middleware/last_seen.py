"""How long a log-in lasts: each visit puts off its end, and is written down once a minute."""

from logging import WARNING

from quart import Quart, current_app

from app import events
from app.models import UserSession, db
from app.models.core import DatabaseUnavailable
from app.services import sessions
from app.services.sessions import Lifetime


def lifetime(*, remember: bool) -> Lifetime:
    kind = "REMEMBER" if remember else "SESSION"
    return Lifetime(current_app.config[f"{kind}_IDLE"], current_app.config[f"{kind}_LIFETIME"])


async def touch(log_in: UserSession) -> None:
    """Write down that a browser is here. Of many that this process answers at once one does it."""
    touching: set[int] = current_app.extensions["touching"]
    if log_in.id in touching:
        return
    touching.add(log_in.id)
    try:
        await db.write(sessions.touch, log_in, lifetime=lifetime(remember=log_in.remember))
    except DatabaseUnavailable as error:  # a page can be read also when nothing can be written
        events.record("database_unavailable", level=WARNING, why=str(error), untouched=log_in.id)
    finally:
        touching.discard(log_in.id)


def init_app(app: Quart) -> None:
    app.extensions["touching"] = set[int]()
