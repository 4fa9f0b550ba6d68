"""Whom we answer: the language by cookie, then by Accept-Language; the time zone by a cookie that main.js sets."""

import re
from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from quart import Quart, current_app, request
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response as WerkzeugResponse

from app import words
from app.languages import Reader, catalogue, language, reader, speak_to
from app.templating import translate

COOKIE = "language"
ZONE_COOKIE = "timezone"
ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}", re.ASCII)
LONGEST = 200  # characters of Accept-Language: Werkzeug takes long to read a hostile one
HALF_A_YEAR = 180 * 86400  # seconds


async def see_who_reads() -> None:
    """Find out in which language and form to answer."""
    cookies, accepted = request.cookies, request.headers.get("Accept-Language", "")
    language, zone = cookies.get(cookie_name(COOKIE), ""), cookies.get(cookie_name(ZONE_COOKIE), "")
    accepted = accepted if len(accepted) <= LONGEST else ""
    speak_to(_reader_who_says(language[:LONGEST], accepted, zone[:LONGEST], current_app.config["LANGUAGES"]))


def remember_language(response: WerkzeugResponse, code: str) -> None:
    """Have the browser say from now on which language it wants."""
    safe = {"secure": current_app.config["SESSION_COOKIE_SECURE"], "httponly": True, "samesite": "Lax"}
    response.set_cookie(cookie_name(COOKIE), code, max_age=HALF_A_YEAR, path="/", **safe)


def cookie_name(name: str) -> str:
    return f"{current_app.config['COOKIE_PREFIX']}{name}"


@lru_cache(maxsize=1024)
def _reader_who_says(cookie: str, accept_language: str, zone: str, spoken: tuple[str, ...]) -> Reader:
    """Return whom we answer. Most browsers say the same as others."""
    accepted = [wanted for wanted, quality in parse_accept_header(accept_language, LanguageAccept) if quality > 0]
    chosen = next(filter(None, (_match(each, spoken) for each in [cookie, *accepted])), spoken[0])
    return Reader(chosen, _locale(chosen, accepted), _zone(zone))


def _match(wanted: str, spoken: tuple[str, ...]) -> str | None:
    """Return the language that answers de-AT: itself, or de."""
    known = {code.lower(): code for code in spoken}
    return known.get(wanted.lower()) or known.get(wanted.lower().partition("-")[0])


def _locale(code: str, accepted: list[str]) -> Locale:
    """Return the form of dates: that of de-AT for who reads German and asked for it so."""
    # Only one is looked up: Babel takes long to find that there is none.
    wanted = next((each for each in accepted if each.lower().startswith(f"{code.lower()}-")), code)
    try:
        return Locale.parse(wanted, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale.parse(code, sep="-")


def _zone(cookie: str) -> tzinfo:
    name = cookie.replace("%2F", "/")
    try:
        return ZoneInfo(name) if ZONE.fullmatch(name) else UTC
    except (LookupError, ValueError, OSError):  # no such zone, or nothing but a folder of zones
        return UTC


def _name_of(code: str) -> str:
    """Return what a language calls itself."""
    name = Locale.parse(code, sep="-").get_display_name() or code
    return name[0].upper() + name[1:]


def tell_templates(app: Quart) -> None:
    """Have templates translate, and say moments and browsers in words."""
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined] # the extension brings it
        lambda message: catalogue(language()).gettext(message),
        lambda one, many, number: catalogue(language()).ngettext(one, many, number),
        newstyle=True,
    )
    app.jinja_env.globals |= {"_": translate, "gettext": translate}
    names = [(code, _name_of(code)) for code in app.config["LANGUAGES"]]
    app.jinja_env.globals |= {"reader": reader, "languages": names}
    for in_words in (words.event_in_words, words.moment_in_words, words.device_in_words, words.origin_in_words):
        app.add_template_filter(in_words)


def init_app(app: Quart) -> None:
    """Before all hooks that may answer."""
    tell_templates(app)
    app.before_request(see_who_reads)
