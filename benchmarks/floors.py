"""The floors: an empty ASGI app, and Quart with one page and one query. No site on this stack is faster."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quart import Quart, render_template, request
from sqlalchemy import bindparam, column, select, table
from sqlalchemy.ext.asyncio import create_async_engine

HERE = Path(__file__).parent
ENDPOINTS = [
    "accounts.edit",
    "accounts.update",
    "main_pages.about",
    "main_pages.choose_language",
    "main_pages.index",
    "security.change_password",
    "security.login",
    "security.logout",
    "security.register",
]


async def empty(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send five bytes."""
    if scope["type"] == "lifespan":
        for state in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{state}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def make_bare() -> Quart:
    """Return an app with the front page only, in the peer's templates, and the users of our own tables."""
    app = Quart(
        __name__, template_folder=str(HERE / "peer_flask/templates"), static_folder=str(HERE / "../src/app/static")
    )
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "extensions": ["jinja2.ext.i18n"]}
    app.jinja_env.install_null_translations(newstyle=True)  # type: ignore[attr-defined] # the extension brings it
    app.config |= {
        "SITE_NAME": "Bare",
        "SECURITY_REGISTERABLE": True,
        "SECURITY_CHANGEABLE": True,
        "SECRET_KEY": "x" * 40,
    }
    for endpoint in ENDPOINTS:
        app.add_url_rule(f"/{endpoint}", endpoint)
    engine = create_async_engine(os.environ["FLOOR_DATABASE"])
    sessions = table("user_session", *map(column, ("digest", "user_id", "expires_on")))
    users = table("user", column("id"), column("email"), column("active"))
    query = (
        select(users.c.email)
        .join_from(sessions, users, users.c.id == sessions.c.user_id)
        .where(sessions.c.digest == bindparam("digest"), sessions.c.expires_on > bindparam("now"), users.c.active)
    )

    @app.get("/")
    async def index() -> str:
        email = None
        if token := request.cookies.get("token"):
            async with engine.connect() as connection:
                parameters = {"digest": hashlib.sha256(token.encode()).hexdigest(), "now": datetime.now(UTC)}
                email = await connection.scalar(query, parameters)
        user = {"is_authenticated": email is not None, "email": email}
        languages = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]
        return await render_template("index.html", current_user=user, languages=languages, language="en")

    app.after_serving(engine.dispose)
    return app


bare = make_bare() if "FLOOR_DATABASE" in os.environ else None
