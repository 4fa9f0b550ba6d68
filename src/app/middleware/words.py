"""What templates say of moments, browsers and events."""

from datetime import datetime

from quart import Quart

from app.models import UserEvent, UserSession
from app.models.user_agent import in_words
from app.services.activity import COMMAND_LINE

EVENTS = {
    "signed_up": "The account was opened",
    "confirmed": "The address was confirmed",
    "logged_in": "Somebody logged in",
    "verified": "The password was shown again",
    "password_changed": "The password was changed",
    "reset_asked": "A link to choose a new password was asked for",
    "email_change_asked": "A change of the address was asked for",
    "email_changed": "The address was changed",
    "email_change_undone": "The change of the address was undone",
    "disowned": "“This was not me” was answered",
    "session_ended": "Another browser was logged out",
    "other_sessions_ended": "All other browsers were logged out",
    "sessions_ended": "Every browser was logged out",
    "phone_changed": "The phone number was changed",
    "activated": "The account was opened again",
    "deactivated": "The account was closed",
    "role_added": "The account was given a role",
    "role_removed": "A role was taken from the account",
}


def event_in_words(event: str) -> str:
    return EVENTS.get(event, event)


def moment_in_words(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def origin_in_words(row: UserEvent | UserSession) -> str:
    """Say from which browser and address something came."""
    if row.ip == COMMAND_LINE.ip:
        return "the command line of the site"
    return " · ".join(filter(None, [in_words(row.user_agent), row.ip]))


def init_app(app: Quart) -> None:
    app.add_template_filter(event_in_words)
    app.add_template_filter(moment_in_words)
    app.add_template_filter(origin_in_words)
    app.add_template_filter(in_words, "device_in_words")
