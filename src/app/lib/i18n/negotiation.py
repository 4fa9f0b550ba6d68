"""The locale of a request: a cookie, then Accept-Language; the time zone from a cookie that main.js sets."""

import re
from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from quart import Quart, current_app
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response as WerkzeugResponse

from app.lib.i18n.catalogs import LocaleContext, catalog, current_language, get_locale_context, set_locale
from app.lib.i18n.formatting import describe_user_agent, format_datetime, format_day, format_number
from app.lib.web.request import current_connection
from app.lib.web.templates import translate

LANGUAGE_COOKIE = "language"
ZONE_COOKIE = "timezone"
ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}", re.ASCII)
MAX_HEADER_LENGTH = 200  # of Accept-Language: Werkzeug takes long to parse a hostile one
COOKIE_MAX_AGE_SECONDS = 180 * 86400


async def select_locale() -> None:
    here = current_connection()
    cookies, accepted = here.cookies, here.headers.get("Accept-Language", "")
    language, zone = cookies.get(cookie_name(LANGUAGE_COOKIE), ""), cookies.get(cookie_name(ZONE_COOKIE), "")
    accepted = accepted if len(accepted) <= MAX_HEADER_LENGTH else ""
    settings = language[:MAX_HEADER_LENGTH], accepted, zone[:MAX_HEADER_LENGTH], current_app.config["LANGUAGES"]
    set_locale(_negotiate(*settings))


def set_language_cookie(response: WerkzeugResponse, code: str) -> None:
    """Store the language that the user has chosen in the browser."""
    safe = {"secure": current_app.config["SESSION_COOKIE_SECURE"], "httponly": True, "samesite": "Lax"}
    response.set_cookie(cookie_name(LANGUAGE_COOKIE), code, max_age=COOKIE_MAX_AGE_SECONDS, path="/", **safe)


def cookie_name(name: str) -> str:
    return f"{current_app.config['COOKIE_PREFIX']}{name}"


@lru_cache(maxsize=1024)
def _negotiate(cookie: str, accept_language: str, zone: str, supported: tuple[str, ...]) -> LocaleContext:
    """Return the locale for what a browser has sent. Most browsers send the same."""
    accepted = [wanted for wanted, quality in parse_accept_header(accept_language, LanguageAccept) if quality > 0]
    language = next(filter(None, (_match(wanted, supported) for wanted in [cookie, *accepted])), supported[0])
    return LocaleContext(language, _locale(language, accepted), _zone(zone))


def _match(wanted: str, supported: tuple[str, ...]) -> str | None:
    """Return the supported language for a tag: for de-AT itself, or de."""
    codes = {code.lower(): code for code in supported}
    return codes.get(wanted.lower()) or codes.get(wanted.lower().partition("-")[0])


def _locale(language: str, accepted: list[str]) -> Locale:
    """Return the locale for dates: that of de-AT if the language is de and the browser accepts de-AT."""
    # Only the first one is looked up: Babel takes long to find that a locale does not exist.
    wanted = next((tag for tag in accepted if tag.lower().startswith(f"{language.lower()}-")), language)
    try:
        return Locale.parse(wanted, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale.parse(language, sep="-")


def _zone(cookie: str) -> tzinfo:
    name = cookie.replace("%2F", "/")
    try:
        return ZoneInfo(name) if ZONE.fullmatch(name) else UTC
    except (LookupError, ValueError, OSError):  # no such zone, or a folder of zones
        return UTC


def _own_name(code: str) -> str:
    """Return the name of a language in that language."""
    name = Locale.parse(code, sep="-").get_display_name() or code
    return name[0].upper() + name[1:]


def init_templates(app: Quart) -> None:
    """Let templates translate, and format dates and user agents."""
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined] # added by the extension
        lambda message: catalog(current_language()).gettext(message),
        lambda one, many, number: catalog(current_language()).ngettext(one, many, number),
        newstyle=True,
    )
    languages = [(code, _own_name(code)) for code in app.config["LANGUAGES"]]
    app.jinja_env.globals |= {"_": translate, "gettext": translate, "languages": languages}
    app.jinja_env.globals["get_locale_context"] = get_locale_context
    for text_filter in (format_datetime, format_day, format_number, describe_user_agent):
        app.add_template_filter(text_filter)


def init_app(app: Quart) -> None:
    """Register the hook. Call this before those that may return a response."""
    init_templates(app)
    app.before_request(select_locale)
    app.before_websocket(select_locale)
