"""How times, days, numbers and durations are written in each language and country."""

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from quart import Quart

from app.lib.i18n import formatting, negotiation
from app.lib.i18n.catalogs import LocaleContext, force_locale, get_locale_context, set_locale

pytestmark = pytest.mark.usefixtures("three_languages")

NOON = datetime(2030, 3, 9, 12, 5, 6, tzinfo=UTC)
BERLIN, NEWFOUNDLAND = ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns")


async def locale_of(app: Quart, *, cookie: str = "", accepted: str = "") -> LocaleContext:
    """Return the locale of a request with this time zone in its cookie and these accepted languages."""
    headers = {"Cookie": f"timezone={cookie.encode().decode('latin-1')}", "Accept-Language": accepted}
    async with app.test_request_context("/", headers=headers):
        await negotiation.select_locale()
        return get_locale_context()


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("locale", "zone", "utc", "expected"),
    [
        ("en-US", UTC, NOON, "Mar 9, 2030, 12:05 PM UTC"),
        ("en-GB", UTC, NOON, "9 Mar 2030, 12:05 UTC"),
        ("de-AT", UTC, NOON, "09.03.2030, 12:05 UTC"),
        ("fr-CA", UTC, NOON, "9 mars 2030, 12 h 05 UTC"),
        ("en-US", BERLIN, NOON, "Mar 9, 2030, 1:05 PM"),
        ("fr-CA", NEWFOUNDLAND, NOON, "9 mars 2030, 08 h 35"),
        ("de", BERLIN, "2030-07-09T12:05:06+00:00", "09.07.2030, 14:05"),
        ("de", BERLIN, "2030-03-31T00:59:59+00:00", "31.03.2030, 01:59"),
        ("de", BERLIN, "2030-03-31T01:00:00+00:00", "31.03.2030, 03:00"),
        ("de", BERLIN, "2030-10-27T01:30:00+00:00", "27.10.2030, 02:30"),
        ("de", BERLIN, "2030-12-31T23:30:00+00:00", "01.01.2031, 00:30"),
    ],
)
def test_a_time_has_the_form_of_the_country_and_is_in_the_zone_of_the_client(
    locale: str, zone: tzinfo, utc: datetime | str, expected: str
) -> None:
    with force_locale(locale[:2]):
        set_locale(LocaleContext(locale[:2], Locale.parse(locale, sep="-"), zone))
        assert plain(formatting.format_datetime(utc)) == expected


async def test_the_zone_is_the_one_that_the_browser_names_if_it_exists(app: Quart) -> None:
    for zone in ("Europe/Berlin", "Europe%2FBerlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"):
        assert str((await locale_of(app, cookie=zone)).zone) == zone.replace("%2F", "/")
    for zone in ("", "Nowhere/City", "Europe", "Europe/", "a\0b", "Europe/Berlin/..", "leapseconds", "tzdata.zi"):
        assert (await locale_of(app, cookie=zone)).zone is UTC, zone


async def test_text_that_is_no_name_of_a_zone_opens_no_file(app: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(negotiation, "ZoneInfo", opened.append)
    for zone in ("../../etc/passwd", "/etc/passwd", "a.b/c", "A/" * 5000, "x" * 10_000, "A/B/C/D", "é"):
        await locale_of(app, cookie=zone)

    assert opened == []


async def test_dates_have_the_form_of_the_accepted_country(app: Quart) -> None:
    for accepted, expected in {
        "de-AT": "de_AT",
        "de, de-CH;q=0.5": "de_CH",
        "en-GB": "en_GB",
        "en, fr-CA": "en",
        "de-AT, de-CH": "de_AT",
        "de-x-y, de-AT": "de",
        "fr-@@@": "fr",
    }.items():
        assert str((await locale_of(app, accepted=accepted)).locale) == expected
    for accepted in ("de-AT@euro", "de-Latn-ZZ", "fr-1996", "en-US-POSIX", "de-419", "en-Shaw", "fr-Arab"):
        set_locale(await locale_of(app, accepted=accepted))
        assert "2030" in formatting.format_datetime(NOON)
        assert formatting.format_duration(90).startswith("2")


@pytest.mark.parametrize(
    ("locale", "day", "price", "number"),
    [
        ("en-US", "Dec 31, 2030", "-1,234,567.50", "1,234"),
        ("en-IN", "31 Dec 2030", "-12,34,567.50", "1,234"),
        ("de-DE", "31.12.2030", "-1.234.567,50", "1.234"),
        ("fr-CA", "31 déc. 2030", "-1 234 567,50", "1 234"),
    ],
)
def test_a_day_and_a_number_have_the_form_of_the_country(locale: str, day: str, price: str, number: str) -> None:
    with force_locale(locale[:2]):
        set_locale(LocaleContext(locale[:2], Locale.parse(locale, sep="-"), NEWFOUNDLAND))

        assert plain(formatting.format_day(date(2030, 12, 31))) == day
        assert plain(formatting.format_number(Decimal("-1234567.50"))) == price
        assert plain(formatting.format_number(1234)) == number


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, {"en": "1 second", "de": "1 Sekunde", "fr": "1 seconde"}),
        (60, {"en": "60 seconds", "de": "60 Sekunden", "fr": "60 secondes"}),
        (61, {"en": "2 minutes", "de": "2 Minuten", "fr": "2 minutes"}),
        (3600, {"en": "60 minutes", "de": "60 Minuten", "fr": "60 minutes"}),
        (None, {"en": "a moment", "de": "[de] a moment", "fr": "[fr] a moment"}),
    ],
)
def test_a_duration_is_rounded_up_and_has_its_plural(seconds: int | None, expected: dict[str, str]) -> None:
    for language, text in expected.items():
        with force_locale(language):
            assert plain(formatting.format_duration(seconds)) == text
