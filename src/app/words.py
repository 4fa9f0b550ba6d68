"""What pages, mails and commands say of moments, browsers and events, in the language of whoever reads it."""

from collections.abc import Mapping
from datetime import UTC, datetime

from babel.dates import format_date, format_time, get_datetime_format
from babel.units import format_unit

from app.languages import gettext, reader
from app.languages import untranslated as _
from app.models import UserEvent, UserSession
from app.services.activity import COMMAND_LINE

EVENTS = {
    "signed_up": _("The account was opened"),
    "confirmed": _("The address was confirmed"),
    "logged_in": _("Somebody logged in"),
    "verified": _("The password was entered again"),
    "password_changed": _("The password was changed"),
    "reset_asked": _("A link to choose a new password was asked for"),
    "email_change_asked": _("A change of the address was asked for"),
    "email_changed": _("The address was changed"),
    "email_change_undone": _("The change of the address was undone"),
    "disowned": _("“This was not me” was reported"),
    "session_ended": _("Another browser was logged out"),
    "other_sessions_ended": _("All other browsers were logged out"),
    "sessions_ended": _("Every browser was logged out"),
    "phone_changed": _("The phone number was changed"),
    "activated": _("The account was opened again"),
    "deactivated": _("The account was closed"),
    "role_added": _("The account was given a role"),
    "role_removed": _("A role was taken from the account"),
}
BROWSERS = {  # the first that is found: most also name those whom they were like
    "Edg": "Edge",
    "EdgA": "Edge",
    "EdgiOS": "Edge",
    "OPR": "Opera",
    "OPT": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
SYSTEMS = {
    "iPhone": _("an iPhone"),
    "iPad": _("an iPad"),
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": _("a Mac"),
    "Linux": "Linux",
}


def event_in_words(event: str) -> str:
    return gettext(EVENTS[event]) if event in EVENTS else event


def moment_in_words(moment: datetime | str) -> str:
    """Say when, as the reader writes it and on their clock; on UTC, and saying so, where that is not known."""
    known = reader()
    try:
        moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError:  # a mail that waited while the site was brought up to date has words already
        return str(moment)
    moment = moment.astimezone(known.zone)
    form = str(get_datetime_format("medium", known.locale)).replace("'", "")
    day, time = format_date(moment, "medium", known.locale), format_time(moment, "short", known.zone, known.locale)
    return form.format(time, day) + (" UTC" if known.zone is UTC else "")


def wait_in_words(seconds: int | None) -> str:
    """Say how long to wait, never too short."""
    if seconds is None:
        return gettext("a little while")
    number, unit = (seconds, "second") if seconds <= 60 else (-(-seconds // 60), "minute")
    return format_unit(number, f"duration-{unit}", "long", locale=reader().locale)


def device_in_words(user_agent: str) -> str:
    """Say `Firefox on Linux` for what Firefox sends there. A hint for its owner: anybody may send any text."""
    browser = next((name for part, name in BROWSERS.items() if f"{part}/" in user_agent), gettext("A browser"))
    system = next((name for part, name in SYSTEMS.items() if part in user_agent), None)
    return gettext("%(browser)s on %(system)s", browser=browser, system=gettext(system)) if system else browser


def where_in_words(facts: Mapping[str, str]) -> str:
    """Say from where something came, as the end of a sentence in a mail."""
    if facts.get("at_command_line"):
        return gettext("at the command line of the site")
    ip, device = facts.get("ip"), device_in_words(facts.get("user_agent", ""))
    if not ip:
        return gettext("with: %(device)s", device=device)
    return gettext("from %(ip)s, with: %(device)s", ip=ip, device=device)


def origin_in_words(row: UserEvent | UserSession) -> str:
    """Say from which browser and address something came."""
    if row.ip == COMMAND_LINE.ip:
        return gettext("the command line of the site")
    return " · ".join(filter(None, [device_in_words(row.user_agent), row.ip]))
