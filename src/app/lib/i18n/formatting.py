"""Dates, numbers, durations and user agents as text, in the locale of the request."""

from datetime import UTC, date, datetime
from decimal import Decimal

from babel.dates import format_date, format_time, get_datetime_format
from babel.numbers import format_decimal
from babel.units import format_unit

from app.lib.i18n.catalogs import get_locale_context, gettext
from app.lib.i18n.catalogs import noop as _

# Product tokens of user agents. The first match counts, because most browsers also name those that they resemble.
BROWSERS = {
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
    "iPhone": _("iPhone"),
    "iPad": _("iPad"),
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": _("Mac"),
    "Linux": "Linux",
}


def format_datetime(time: datetime | str) -> str:
    """Return a date and time in the format and time zone of the request, marked `UTC` if the zone is unknown."""
    context = get_locale_context()
    time = datetime.fromisoformat(time) if isinstance(time, str) else time
    time = time.astimezone(context.zone)
    pattern = str(get_datetime_format("medium", context.locale)).replace("'", "")
    day = format_date(time, "medium", context.locale)
    hour = format_time(time, "short", context.zone, context.locale)
    return pattern.format(hour, day) + (" UTC" if context.zone is UTC else "")


def format_day(day: date) -> str:
    """Return a date without a time, which is the same day in every time zone."""
    return format_date(day, "medium", get_locale_context().locale)


def format_number(number: int | Decimal) -> str:
    """Return a number with the separators of the locale, and with the decimal places that it has."""
    locale, places = get_locale_context().locale, -int(Decimal(number).as_tuple().exponent)
    whole, _point, _places = locale.decimal_formats[None].pattern.partition(".")
    return format_decimal(number, f"{whole}.{'0' * places}" if places > 0 else whole, locale)


def format_duration(seconds: int | None) -> str:
    """Return how long to wait, rounded up to seconds or minutes."""
    if seconds is None:
        return gettext("a moment")
    number, unit = (seconds, "second") if seconds <= 60 else (-(-seconds // 60), "minute")
    return format_unit(number, f"duration-{unit}", "long", locale=get_locale_context().locale)


def format_size(size: int) -> str:
    """Return a number of bytes in kilobytes or megabytes, rounded down: `65 kB`, `5 MB`."""
    number, unit = (size // 1000, "kilobyte") if size < 1_000_000 else (size // 1_000_000, "megabyte")
    return format_unit(number, f"digital-{unit}", "short", locale=get_locale_context().locale)


def describe_user_agent(user_agent: str) -> str:
    """Return `Firefox on Linux` for a User-Agent header. It is a hint only: a client may send any text."""
    browser = next((name for part, name in BROWSERS.items() if f"{part}/" in user_agent), gettext("Unknown browser"))
    system = next((name for part, name in SYSTEMS.items() if part in user_agent), None)
    return gettext("%(browser)s on %(system)s", browser=browser, system=gettext(system)) if system else browser
