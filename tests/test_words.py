"""How times, waits and browsers are written in each language."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from quart import Quart

from app.lib.i18n import formatting
from app.lib.i18n import negotiation as hook
from app.lib.i18n.catalogs import LocaleContext, get_locale_context, set_locale
from app.views import labels
from support.user_agents import FIREFOX, MAC

NOON = datetime(2030, 3, 9, 12, 5, 6, tzinfo=UTC)
BERLIN, NEWFOUNDLAND = ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns")
SPOKEN = ("en", "de", "fr")
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0"


@contextmanager
def read_by(code: str, *, locale: str = "", zone: tzinfo = UTC) -> Iterator[None]:
    before = get_locale_context()
    set_locale(LocaleContext(code, Locale.parse(locale or code, sep="-"), zone))
    try:
        yield
    finally:
        set_locale(before)


async def reader_of(app: Quart, *, cookie: str = "", accepted: str = "") -> LocaleContext:
    """Return how a request is answered, by its time zone and its languages."""
    headers = {"Cookie": f"timezone={cookie.encode().decode('latin-1')}", "Accept-Language": accepted}
    async with app.test_request_context("/", headers=headers):
        await hook.select_locale()
        return get_locale_context()


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("locale", "zone", "expected"),
    [
        ("en-US", UTC, "Mar 9, 2030, 12:05 PM UTC"),
        ("en-GB", UTC, "9 Mar 2030, 12:05 UTC"),
        ("de-AT", UTC, "09.03.2030, 12:05 UTC"),
        ("fr", UTC, "9 mars 2030, 12:05 UTC"),
        ("fr-CA", UTC, "9 mars 2030, 12 h 05 UTC"),
        ("en-US", BERLIN, "Mar 9, 2030, 1:05 PM"),
        ("de", BERLIN, "09.03.2030, 13:05"),
        ("fr-CA", NEWFOUNDLAND, "9 mars 2030, 08 h 35"),
    ],
)
def test_a_time_is_written_as_in_the_readers_country_and_zone(locale: str, zone: tzinfo, expected: str) -> None:
    with read_by(locale[:2], locale=locale, zone=zone):
        assert plain(formatting.format_datetime(NOON)) == expected
        assert formatting.format_datetime(NOON.isoformat()) == formatting.format_datetime(NOON)


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        ("2030-07-09T12:05:06+00:00", "09.07.2030, 14:05"),
        ("2030-03-31T00:59:59+00:00", "31.03.2030, 01:59"),
        ("2030-03-31T01:00:00+00:00", "31.03.2030, 03:00"),
        ("2030-10-27T00:30:00+00:00", "27.10.2030, 02:30"),
        ("2030-10-27T01:30:00+00:00", "27.10.2030, 02:30"),
        ("2030-12-31T23:30:00+00:00", "01.01.2031, 00:30"),
    ],
)
def test_summer_time_and_the_day_of_the_zone_count(utc: str, expected: str) -> None:
    with read_by("de", zone=BERLIN):
        assert formatting.format_datetime(utc) == expected


async def test_the_zone_is_the_one_that_the_browser_names_if_it_exists(app: Quart) -> None:
    for zone in ("Europe/Berlin", "Europe%2FBerlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"):
        assert str((await reader_of(app, cookie=zone)).zone) == zone.replace("%2F", "/")
    for zone in ("", "Nowhere/City", "Europe", "Europe/", "a\0b", "Europe/Berlin/..", "leapseconds", "tzdata.zi"):
        assert (await reader_of(app, cookie=zone)).zone is UTC, zone


async def test_what_cannot_be_the_name_of_a_zone_opens_no_file(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(hook, "ZoneInfo", opened.append)
    for zone in ("../../etc/passwd", "/etc/passwd", "a.b/c", "A/" * 5000, "x" * 10_000, "A/B/C/D", "é"):
        await reader_of(app, cookie=zone)

    assert opened == []


async def test_dates_have_the_form_of_the_accepted_country(app: Quart) -> None:
    for accepted, expected in [
        ("de-AT", "de_AT"),
        ("de, de-CH;q=0.5", "de_CH"),
        ("en-GB", "en_GB"),
        ("en, fr-CA", "en"),
        ("de-AT, de-CH", "de_AT"),
        ("de-x-y, de-AT", "de"),
        ("de-12345", "de"),
        ("fr-@@@", "fr"),
    ]:
        assert str((await reader_of(app, accepted=accepted)).locale) == expected
    for accepted in ("de-AT@euro", "de-Latn-ZZ", "fr-1996", "en-US-POSIX", "de-419", "en-Shaw", "fr-Arab"):
        set_locale(await reader_of(app, accepted=accepted))
        assert "2030" in formatting.format_datetime(NOON)
        assert formatting.format_duration(90).startswith("2")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, ("1 second", "1 Sekunde", "1 seconde")),
        (2, ("2 seconds", "2 Sekunden", "2 secondes")),
        (60, ("60 seconds", "60 Sekunden", "60 secondes")),
        (61, ("2 minutes", "2 Minuten", "2 minutes")),
        (120, ("2 minutes", "2 Minuten", "2 minutes")),
        (3600, ("60 minutes", "60 Minuten", "60 minutes")),
        (None, ("a moment", "Kürze", "quelques instants")),
    ],
)
def test_a_wait_is_rounded_up_and_has_its_plural(seconds: int | None, expected: tuple[str, ...]) -> None:
    for code, waiting in zip(SPOKEN, expected, strict=True):
        with read_by(code):
            assert plain(formatting.format_duration(seconds)) == waiting


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (FIREFOX, ("Firefox on Linux", "Firefox auf Linux", "Firefox sur Linux")),
        (EDGE, ("Edge on Windows", "Edge auf Windows", "Edge sur Windows")),
        (SAFARI, ("Safari on iPhone", "Safari auf iPhone", "Safari sur iPhone")),
        (MAC, ("Chrome on Mac", "Chrome auf Mac", "Chrome sur Mac")),
        ("curl/8.5.0", ("curl",) * 3),
        ("", ("Unknown browser", "Unbekannter Browser", "Navigateur inconnu")),
        ("<script>", ("Unknown browser", "Unbekannter Browser", "Navigateur inconnu")),
    ],
)
def test_a_browser_is_named_in_each_language(user_agent: str, expected: tuple[str, ...]) -> None:
    for code, named in zip(SPOKEN, expected, strict=True):
        with read_by(code):
            assert formatting.describe_user_agent(user_agent) == named


@pytest.mark.parametrize("code", ["de", "fr"])
def test_every_event_is_translated(code: str) -> None:
    with read_by("en"):
        english = [labels.event_label(event) for event in labels.EVENTS]
    with read_by(code):
        assert not set(english) & {labels.event_label(event) for event in labels.EVENTS}
        assert labels.event_label("something_newer") == "something_newer"
