"""A table of a developer, related to User. It changes the models, so it runs in a process of its own."""

import asyncio
import sys

from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.app_factory import create_app
from app.auth.current_user import require_user
from app.models import Base, User
from support.actions import page, register, write


class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    title: Mapped[str]


User.notes = relationship(Note, lazy="selectin")


async def add_note(session: AsyncSession) -> None:
    await (await session.connection()).run_sync(Base.metadata.tables["note"].create)
    session.add(Note(user_id=1, title="Sketch of the engine"))


async def notes() -> str:
    user = await require_user()
    return " ".join(note.title for note in user.notes)  # type: ignore[attr-defined]


def fail(_user: User, _email: str) -> None:
    raise AssertionError("the ORM calls no constructor when it loads an object")


async def main() -> None:
    app = create_app({"INSTANCE_PATH": sys.argv[1]})
    app.add_url_rule("/notes", "notes", notes)
    async with app.test_app():
        client = app.test_client()
        await register(client)
        await write(app, add_note)
        User.__init__ = fail  # type: ignore[assignment, method-assign]
        sys.stdout.write(await page(client, "/notes"))


asyncio.run(main())
