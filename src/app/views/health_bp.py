"""Health checks for a load balancer: is the process alive, and can it serve requests?"""

from quart import Blueprint, current_app
from quart.typing import ResponseReturnValue

from app.auth import public
from app.auth.error_pages import log_unavailable
from app.lib.db import DatabaseUnavailable, db, schema
from app.lib.proxy_probe import observed_proxies

health_bp = Blueprint("health", __name__)


@health_bp.get("/healthz")
@public
async def alive() -> ResponseReturnValue:
    proxies = observed_proxies()
    return {"status": "alive"} if proxies is None else {"status": "alive", "proxies": proxies}


@health_bp.get("/readyz")
@public
async def ready() -> ResponseReturnValue:
    """Return 200 if the process is not about to stop, and the schema is at head or newer than this code.

    During an upgrade the database is migrated first. The servers with the old code must stay in the load balancer.
    """
    if current_app.extensions.get("draining"):
        return {"status": "draining"}, 503
    try:
        revision = await db.read(schema.current_revision)
        if revision == schema.head_revision() or schema.is_newer(revision):
            return {"status": "ready"}
    except DatabaseUnavailable as error:
        log_unavailable(error)
        return {"status": "database unavailable"}, 503
    except schema.BrokenMigrations:  # run.py does not start with them
        pass
    return {"status": "schema is not at head"}, 503
