"""The URLs that a load balancer checks: is the process alive, and can it serve requests?"""

from quart import Blueprint, current_app
from quart.typing import ResponseReturnValue

from app.middleware.errors import log_unavailable
from app.middleware.self_check import arrival
from app.models import db
from app.models.core import DatabaseUnavailable
from app.services import schema

health_bp = Blueprint("health", __name__)


@health_bp.get("/healthz")
async def alive() -> ResponseReturnValue:
    arrived = arrival()
    return {"status": "alive", "arrived": arrived} if arrived else {"status": "alive"}


@health_bp.get("/readyz")
async def ready() -> ResponseReturnValue:
    """Return 200 if requests may be sent here: the schema is right and the process is not about to stop."""
    if current_app.extensions.get("draining"):
        return {"status": "draining"}, 503
    try:
        if await db.read(schema.current_revision) == schema.head_revision():
            return {"status": "ready"}
    except DatabaseUnavailable as error:
        log_unavailable(error)
        return {"status": "database unavailable"}, 503
    except schema.BrokenMigrations:  # run.py does not start with them
        pass
    return {"status": "schema is not at head"}, 503
