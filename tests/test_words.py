"""What is said of moments, waits and browsers, in each language."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from quart import Quart

from app import words
from app.languages import Reader, gettext, reader, speak_to
from app.middleware import languages as hook

NOON = datetime(2030, 3, 9, 12, 5, 6, tzinfo=UTC)
SUMMER = datetime(2030, 7, 9, 12, 5, 6, tzinfo=UTC)
BERLIN, NEWFOUNDLAND = ZoneInfo("Europe/Berlin"), ZoneInfo("America/St_Johns")
SPOKEN = ("en", "de", "fr")

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36"


@pytest.fixture
def database_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """Return one database: words do not depend on its kind."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    return "sqlite:///app.db"


@contextmanager
def read_by(code: str, *, locale: str = "", zone: tzinfo = UTC) -> Iterator[None]:
    before = reader()
    speak_to(Reader(code, Locale.parse(locale or code, sep="-"), zone))
    try:
        yield
    finally:
        speak_to(before)


def plain(text: str) -> str:
    """Put a space where one stands that does not break."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


# Moments


@pytest.mark.parametrize(
    ("locale", "zone", "expected"),
    [
        ("en-US", UTC, "Mar 9, 2030, 12:05 PM UTC"),
        ("en-GB", UTC, "9 Mar 2030, 12:05 UTC"),
        ("de", UTC, "09.03.2030, 12:05 UTC"),
        ("de-AT", UTC, "09.03.2030, 12:05 UTC"),
        ("fr", UTC, "9 mars 2030, 12:05 UTC"),
        ("fr-CA", UTC, "9 mars 2030, 12 h 05 UTC"),
        ("en-US", BERLIN, "Mar 9, 2030, 1:05 PM"),
        ("en-GB", BERLIN, "9 Mar 2030, 13:05"),
        ("de", BERLIN, "09.03.2030, 13:05"),
        ("fr", BERLIN, "9 mars 2030, 13:05"),
        ("en-US", NEWFOUNDLAND, "Mar 9, 2030, 8:35 AM"),
        ("de-AT", NEWFOUNDLAND, "09.03.2030, 08:35"),
        ("fr-CA", NEWFOUNDLAND, "9 mars 2030, 08 h 35"),
    ],
)
def test_a_moment_is_written_as_its_reader_writes_it(locale: str, zone: tzinfo, expected: str) -> None:
    with read_by(locale[:2], locale=locale, zone=zone):
        assert plain(words.moment_in_words(NOON)) == expected
        assert words.moment_in_words(NOON.isoformat()) == words.moment_in_words(NOON)


def test_what_the_version_before_wrote_into_a_mail_is_said_as_it_is() -> None:
    with read_by("de", zone=BERLIN):
        assert words.moment_in_words("2026-11-25 04:20 UTC") == "2026-11-25 04:20 UTC"


@pytest.mark.parametrize(("moment", "expected"), [(NOON, "09.03.2030, 13:05"), (SUMMER, "09.07.2030, 14:05")])
def test_a_zone_has_its_summer(moment: datetime, expected: str) -> None:
    with read_by("de", zone=BERLIN):
        assert words.moment_in_words(moment) == expected


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        ("2030-03-31T00:59:59+00:00", "31.03.2030, 01:59"),
        ("2030-03-31T01:00:00+00:00", "31.03.2030, 03:00"),
        ("2030-10-27T00:30:00+00:00", "27.10.2030, 02:30"),
        ("2030-10-27T01:30:00+00:00", "27.10.2030, 02:30"),
        ("2030-12-31T23:30:00+00:00", "01.01.2031, 00:30"),
    ],
)
def test_clocks_that_change_show_the_right_hour_and_day(utc: str, expected: str) -> None:
    with read_by("de", zone=BERLIN):
        assert words.moment_in_words(utc) == expected


HOSTILE_ZONES = ["", "Nowhere/City", "Europe/Nowhere", "../../etc/passwd", "/etc/passwd", "Europe", "Europe/", "a\0b"]
HOSTILE_ZONES += ["Europe/Berlin/..", "leapseconds", "tzdata.zi", "A/" * 5000, "x" * 10_000, "é"]


@pytest.mark.parametrize("zone", HOSTILE_ZONES)
async def test_a_zone_that_does_not_exist_is_utc(app: Quart, zone: str) -> None:
    async with app.test_request_context("/", headers={"Cookie": f"timezone={zone.encode().decode('latin-1')}"}):
        await hook.see_who_reads()
        assert reader().zone is UTC
        assert words.moment_in_words(NOON).endswith(" UTC")


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "/etc/passwd", "a.b/c", "A/" * 5000, "x" * 10_000, "A/B/C/D", "é"]
)
async def test_what_cannot_be_the_name_of_a_zone_is_not_looked_for(
    app: Quart, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    looked_for: list[str] = []
    monkeypatch.setattr(hook, "ZoneInfo", looked_for.append)
    async with app.test_request_context("/", headers={"Cookie": f"timezone={zone.encode().decode('latin-1')}"}):
        await hook.see_who_reads()

    assert looked_for == []


@pytest.mark.parametrize(
    "wanted", ["de-AT@euro", "de-Latn-ZZ", "fr-1996", "en-US-POSIX", "de-419", "en-Shaw", "fr-Arab"]
)
async def test_the_form_of_no_country_breaks_the_words(app: Quart, wanted: str) -> None:
    async with app.test_request_context("/", headers={"Accept-Language": wanted}):
        await hook.see_who_reads()
        assert "2030" in words.moment_in_words(NOON)
        assert words.wait_in_words(90).startswith("2")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe%2FBerlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
async def test_a_zone_that_a_browser_names_is_taken(app: Quart, zone: str) -> None:
    async with app.test_request_context("/", headers={"Cookie": f"timezone={zone}"}):
        await hook.see_who_reads()
        assert str(reader().zone) == zone.replace("%2F", "/")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("de-AT", "de_AT"),
        ("de, de-CH;q=0.5", "de_CH"),
        ("en-GB", "en_GB"),
        ("en, fr-CA", "en"),
        ("de-AT, de-CH", "de_AT"),
        ("de-x-y, de-AT", "de"),
        ("de-12345", "de"),
        ("fr-@@@", "fr"),
    ],
)
async def test_the_form_of_dates_is_that_of_the_country_asked_for(app: Quart, accepted: str, expected: str) -> None:
    async with app.test_request_context("/", headers={"Accept-Language": accepted}):
        await hook.see_who_reads()
        assert str(reader().locale) == expected


async def test_no_header_takes_long_to_understand(app: Quart) -> None:
    headers = ["de-" + ",de-".join(f"{n:03}" for n in range(28)), ",".join(["de-zz"] * 33), "," * 200, ";q=" * 66]
    for accepted in headers:
        assert len(accepted) <= hook.LONGEST
        async with app.test_request_context("/", headers={"Accept-Language": accepted, "Cookie": "timezone=A/B/C"}):
            since = time.process_time()
            for _ in range(20):
                await hook.see_who_reads()
            assert (time.process_time() - since) / 20 < 0.003, accepted  # seconds: a sixth of a log-in


# Waits


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, ("1 second", "1 Sekunde", "1 seconde")),
        (2, ("2 seconds", "2 Sekunden", "2 secondes")),
        (60, ("60 seconds", "60 Sekunden", "60 secondes")),
        (61, ("2 minutes", "2 Minuten", "2 minutes")),
        (120, ("2 minutes", "2 Minuten", "2 minutes")),
        (121, ("3 minutes", "3 Minuten", "3 minutes")),
        (3600, ("60 minutes", "60 Minuten", "60 minutes")),
        (None, ("a little while", "Kürze", "quelques instants")),
    ],
)
def test_a_wait_is_never_too_short_and_has_its_plural(seconds: int | None, expected: tuple[str, ...]) -> None:
    for code, waiting in zip(SPOKEN, expected, strict=True):
        with read_by(code):
            assert plain(words.wait_in_words(seconds)) == waiting


# Browsers and events


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (FIREFOX, ("Firefox on Linux", "Firefox auf Linux", "Firefox sur Linux")),
        (EDGE, ("Edge on Windows", "Edge auf Windows", "Edge sur Windows")),
        (SAFARI, ("Safari on an iPhone", "Safari auf einem iPhone", "Safari sur iPhone")),
        (MAC, ("Chrome on a Mac", "Chrome auf einem Mac", "Chrome sur Mac")),
        ("curl/8.5.0", ("curl",) * 3),
        ("", ("A browser", "Unbekannter Browser", "Un navigateur")),
        ("<script>", ("A browser", "Unbekannter Browser", "Un navigateur")),
    ],
)
def test_a_browser_is_named_in_each_language(user_agent: str, expected: tuple[str, ...]) -> None:
    for code, named in zip(SPOKEN, expected, strict=True):
        with read_by(code):
            assert words.device_in_words(user_agent) == named


@pytest.mark.parametrize("code", ["de", "fr"])
def test_every_event_has_its_words(code: str) -> None:
    with read_by("en"):
        english = [words.event_in_words(event) for event in words.EVENTS]
    with read_by(code):
        assert not set(english) & {words.event_in_words(event) for event in words.EVENTS}
        assert words.event_in_words("something_newer") == "something_newer"


@pytest.mark.parametrize("code", SPOKEN)
def test_where_something_came_from_ends_a_sentence(code: str) -> None:
    facts = {"ip": "192.0.2.7", "user_agent": FIREFOX}
    with read_by(code):
        device = words.device_in_words(FIREFOX)
        assert words.where_in_words(facts) == gettext("from %(ip)s, with: %(device)s", ip="192.0.2.7", device=device)
        assert words.where_in_words({"at_command_line": "yes"}) == gettext("at the command line of the site")
        assert words.where_in_words(facts | {"ip": ""}) == gettext("with: %(device)s", device=device)
