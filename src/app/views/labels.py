"""Labels of events and of the clients that caused them, for the account pages."""

from quart import Quart

from app.lib.i18n.catalogs import gettext
from app.lib.i18n.catalogs import noop as _
from app.lib.i18n.formatting import describe_user_agent
from app.models import UserEvent, UserSession
from app.services.client import COMMAND_LINE
from app.services.extension_points import extension_points

EVENTS = {
    "registered": _("Account created"),
    "email_confirmed": _("E-mail address confirmed"),
    "logged_in": _("Logged in"),
    "reauthenticated": _("Identity confirmed"),
    "password_changed": _("Password changed"),
    "password_reset": _("Password reset"),
    "password_reset_requested": _("Password reset requested"),
    "email_change_requested": _("E-mail address change requested"),
    "email_changed": _("E-mail address changed"),
    "email_change_reverted": _("E-mail address change reverted"),
    "compromise_reported": _("“This was not me” reported"),
    "session_ended": _("Session ended"),
    "other_sessions_ended": _("All other sessions ended"),
    "sessions_ended": _("All sessions ended"),
    "phone_changed": _("Phone number changed"),
    "activated": _("Account activated"),
    "deactivated": _("Account deactivated"),
    "role_added": _("Role added"),
    "role_removed": _("Role removed"),
}


def event_label(event: str) -> str:
    """Return the words for an event, also one of a feature. An event of a deleted feature keeps its name."""
    labels = EVENTS | extension_points().event_labels
    return gettext(labels[event]) if event in labels else event


def client_label(row: UserEvent | UserSession) -> str:
    """Return the browser and the IP address of an event or a session."""
    if row.ip == COMMAND_LINE.ip:
        return gettext("Command line of the site")
    return " · ".join(filter(None, [describe_user_agent(row.user_agent), row.ip]))


def init_app(app: Quart) -> None:
    app.add_template_filter(event_label)
    app.add_template_filter(client_label)
