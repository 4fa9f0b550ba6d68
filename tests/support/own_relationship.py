"""A relationship that a developer adds to User. It changes the models, so it runs in a process of its own."""

import asyncio
import sys

from sqlalchemy.orm import relationship

from app.app_factory import create_app
from app.auth.current_user import require_user
from app.models import User, UserEvent
from support.actions import page, register

User.events = relationship(UserEvent, lazy="selectin", viewonly=True)


async def events() -> str:
    user = await require_user()
    return " ".join(event.event for event in user.events)  # type: ignore[attr-defined]


def fail(_user: User, _email: str) -> None:
    raise AssertionError("the ORM calls no constructor when it loads an object")


async def main() -> None:
    app = create_app({"INSTANCE_PATH": sys.argv[1], "DATABASE_TIMEOUT": "30"})
    app.add_url_rule("/events", "events", events)
    async with app.test_app():
        client = app.test_client()
        await register(client)
        User.__init__ = fail  # type: ignore[assignment, method-assign]
        sys.stdout.write(await page(client, "/events"))


asyncio.run(main())
