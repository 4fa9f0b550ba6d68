"""The extension points, through which features add to the core. Without features, each is empty.

A feature fills them in its `init_app(app)` (docs/explanation/features.md). The core uses them and imports no feature.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.settings import current_extension
from app.models import User
from app.services.client import Client, NewSession

ROOT = ""  # the group of the commands directly below `quart --app run`


class PendingLogin(NamedTuple):
    """A login with the correct password that requires another step, on the page of `endpoint`.

    The browser gets `token` in a cookie, which identifies the pending login on that page.
    """

    endpoint: str
    token: str


# A step after the correct password. Returns a pending login, or None to start the session. The user's row is locked.
LoginStep = Callable[[AsyncSession, User, NewSession], Awaitable[PendingLogin | None]]


class WrongProof(ServiceError):
    """The password or a further proof is wrong. The response does not reveal which."""

    message = _("The password or the code is wrong.")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A proof that /verify requires of some users besides the password: a form field, and the check of its value.

    `verify` raises WrongProof. It runs after the password was verified, in transactions of its own.
    """

    name: str
    label: str
    required: str  # the error if the field is empty
    is_required: Callable[[AsyncSession, int], Awaitable[bool]]
    verify: Callable[[User, str, Client], Awaitable[None]]


class AccessEnd(Enum):
    """Why access to an account ends."""

    PASSWORD_CHANGED = auto()
    RECOVERED = auto()  # by a reset, a confirmation in another browser, or a password from an operator
    COMPROMISE_REPORTED = auto()  # "This was not me", or the former e-mail address was restored
    SESSIONS_ENDED = auto()  # by an operator
    DEACTIVATED = auto()
    DELETED = auto()


class EndAccess(Protocol):
    """End the access that a feature gives to a user. The user's row is locked.

    `since` is the time of the security alert that the user has reported, or None.
    """

    async def __call__(
        self, session: AsyncSession, user: User, reason: AccessEnd, *, since: datetime | None
    ) -> None: ...


class Expiring(NamedTuple):
    """A table whose expired rows are purged: its primary key, and the column with the time of expiry."""

    key: InstrumentedAttribute[Any]
    expires_on: InstrumentedAttribute[Any]


# Returns what makes a site not ready to be public: a line for each error of `quart --app run check`.
Check = Callable[[Mapping[str, Any]], Awaitable[Iterable[str]]]


@dataclass
class ExtensionPoints:
    """The extension points of one app.

    `templates` has the templates that a page includes: "account", "login", "navigation" or "reauthentication".
    `commands` has the import paths of each group: {"users": {"reset-second-factor": "app.features.…:command"}}.
    """

    login_steps: list[LoginStep] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    access_ends: list[EndAccess] = field(default_factory=list)
    expiring: list[Expiring] = field(default_factory=list)
    event_labels: dict[str, str] = field(default_factory=dict)
    templates: dict[str, list[str]] = field(default_factory=dict)
    commands: dict[str, dict[str, str]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def add_template(self, page: str, template: str) -> None:
        self.templates.setdefault(page, []).append(template)

    def add_command(self, group: str, name: str, path: str) -> None:
        self.commands.setdefault(group, {})[name] = path


def extension_points() -> ExtensionPoints:
    """Return the extension points of the running app."""
    points: ExtensionPoints = current_extension("extension_points")
    return points


async def end_access(session: AsyncSession, user: User, reason: AccessEnd, *, since: datetime | None = None) -> None:
    """End the access that the features give to a user."""
    for end in extension_points().access_ends:
        await end(session, user, reason, since=since)
