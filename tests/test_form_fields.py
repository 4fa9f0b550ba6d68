"""The fields for forms of your own: a choice, an uploaded file, texts, numbers and dates."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from quart import Quart, request
from quart.datastructures import FileStorage
from quart.typing import TestClientProtocol
from sqlalchemy.dialects import mysql, sqlite
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from wtforms import SelectMultipleField, StringField
from wtforms.validators import ValidationError

from app.auth import public
from app.forms.base import MaxLength, SiteForm, file_field, select_field
from app.forms.fields import date_field, datetime_field, decimal_field, integer_field, line_field, text_field
from app.lib.i18n.catalogs import LocaleContext, force_locale, set_locale
from app.models.base import DecimalNumber
from support.app import serving


def check_size(_form: Any, field: Any) -> None:
    if len(field.data.read()) > 9:
        raise ValidationError("This cover is too large.")


class PictureForm(SiteForm):
    picture = file_field("Picture", required="Choose a picture.")
    license = select_field("License", {"own": "My own work", "free": "Free to use"})
    cover = file_field("Cover", check_size)


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[TestClientProtocol]:
    def add_form(app: Quart) -> None:
        @app.post("/picture")
        @public
        async def upload() -> dict[str, Any]:
            form = PictureForm(CombinedMultiDict([await request.files, await request.form]))
            valid = form.validate()
            return {"errors": form.errors, "bytes": len(form.picture.data.read()) if valid else None}

    async with serving(settings, add_form) as app:
        yield app.test_client()


async def upload(client: TestClientProtocol, license_: str, picture: FileStorage | None) -> Any:
    files = {"picture": picture} if picture else {"other": FileStorage(BytesIO(b"x"), "other.png")}
    return await (await client.post("/picture", form={"license": license_}, files=files)).get_json()


async def test_a_chosen_file_and_option_are_accepted(client: TestClientProtocol) -> None:
    found = await upload(client, "free", FileStorage(BytesIO(bytes(300)), "picture.png"))

    assert found == {"errors": {}, "bytes": 300}


@pytest.mark.parametrize(
    ("cover", "errors"), [(b"", {}), (b"small", {}), (bytes(10), {"cover": ["This cover is too large."]})]
)
async def test_an_optional_file_is_validated_only_if_one_was_chosen(
    client: TestClientProtocol, cover: bytes, errors: dict[str, list[str]]
) -> None:
    picture = FileStorage(BytesIO(b"x"), "picture.png")
    files = {"picture": picture, "cover": FileStorage(BytesIO(cover), "cover.png" if cover else "")}
    response = await client.post("/picture", form={"license": "free"}, files=files)

    assert (await response.get_json())["errors"] == errors


async def test_a_missing_file_and_an_unknown_option_are_refused(client: TestClientProtocol) -> None:
    expected = {"picture": ["Choose a picture."], "license": ["Choose one of the options."]}
    for picture in (None, FileStorage(BytesIO(b""), "")):
        assert (await upload(client, "stolen", picture))["errors"] == expected
    text = await (await client.post("/picture", form={"license": "stolen", "picture": "a text"})).get_json()
    assert text["errors"] == expected


def test_several_options_are_not_a_field_that_was_sent_twice() -> None:
    class Form(SiteForm):
        topics = SelectMultipleField("Topics", choices=["a", "b"])  # type: ignore[list-item] # types-WTForms 3.2 knows only tuples
        name = StringField("Name", validators=[MaxLength(9, "too long")])

    form = Form(MultiDict([("topics", "a"), ("topics", "b")]))

    assert form.validate()  # also without the name
    assert form.topics.data == ["a", "b"]


def test_the_options_are_rendered() -> None:
    assert '<option value="own">My own work</option>' in str(PictureForm().license())


class EventForm(SiteForm):
    title = line_field("Title", max_length=5)
    room = line_field("Room", max_length=5, is_optional=True)
    body = text_field("Body", max_length=5, is_optional=True)
    seats = integer_field("Seats", is_optional=True)
    price = decimal_field("Price", digits=5, places=2, is_optional=True)
    day = date_field("Day", is_optional=True)
    starts_at = datetime_field("Starts at", is_optional=True)


def event(**typed: str) -> EventForm:
    form = EventForm(MultiDict({"title": "Talk", **typed}))
    form.validate()
    return form


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("title", "  Talk ", "Talk"),
        ("title", "👩\u200d🚀", "👩\u200d🚀"),
        ("room", "\t" * 6, None),
        ("room", "\u3000" * 6, None),
        ("body", "a\r\nb\tc", "a\nb\tc"),
        ("body", " \r\n", None),
        ("seats", "-2147483647", -2147483647),
        ("seats", "0", 0),
        ("price", "-999.99", Decimal("-999.99")),
        ("price", "1.500", Decimal("1.5")),
        ("price", "", None),
        ("day", "1000-01-01", date(1000, 1, 1)),
        ("starts_at", "2030-12-31T18:00", datetime(2030, 12, 31, 18, 0, tzinfo=UTC)),
        ("starts_at", "2030-12-31T18:00:30", datetime(2030, 12, 31, 18, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_field_returns_the_value_that_its_column_stores(field: str, typed: str, value: Any) -> None:
    form = event(**{field: typed})

    assert (form.errors, form.data[field]) == ({}, value)


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("title", "  ", "Fill in this field."),
        ("title", "\t\u2028", "Fill in this field."),
        ("title", "longer", "Use at most 5 characters."),
        ("title", "a\tb", "This text contains a character that cannot be used."),
        ("title", "a\u2028b", "This text contains a character that cannot be used."),
        ("body", "a\0b", "This text contains a character that cannot be used."),
        ("body", "a\r\nbcde", "Use at most 5 characters."),
        ("seats", "1.5", "Enter a whole number."),
        ("seats", "9" * 5000, "Enter a whole number."),
        ("seats", "2147483648", "Enter a value from -2147483647 to 2147483647."),
        ("price", "1,5", "Enter a number like 12.50."),
        ("price", "NaN", "Enter a number like 12.50."),
        ("price", "-Infinity", "Enter a number like 12.50."),
        ("price", "1000", "Enter a value from -999.99 to 999.99."),
        ("price", "1e-999999", "Use at most 2 decimal places."),
        ("price", "1e-9999999", "Use at most 2 decimal places."),
        ("day", "2030-02-30", "Enter a date like 2030-12-31."),
        ("day", "0030-12-31", "Enter a value from 1000-01-01 to 9999-12-31."),
        ("starts_at", "2030-12-31", "Enter a date and time like 2030-12-31T18:00."),
        ("starts_at", "9999-12-31T23:59", "Enter a value from 1000-01-02T00:00 to 9999-12-30T00:00."),
        ("starts_at", "0001-01-01T00:00", "Enter a value from 1000-01-02T00:00 to 9999-12-30T00:00."),
    ],
)
def test_a_field_refuses_what_its_column_does_not_store(field: str, typed: str, message: str) -> None:
    assert event(**{field: typed}).errors == {field: [message]}


def test_a_time_is_in_the_zone_of_the_user() -> None:
    with force_locale("en"):
        set_locale(LocaleContext(zone=ZoneInfo("Europe/Berlin")))
        form = event(starts_at="2030-07-01T18:00")
        stored = datetime(2030, 7, 1, 16, 0, tzinfo=UTC)

        assert form.starts_at.data == stored
        assert 'value="2030-07-01T18:00"' in EventForm(data={"starts_at": stored}).starts_at()


def test_a_decimal_number_has_its_places_on_both_databases() -> None:
    for dialect, returned in ((mysql.dialect(), Decimal("12.50")), (sqlite.dialect(), 12.5)):
        column = DecimalNumber(12, 2).dialect_impl(dialect)
        convert = column.result_processor(dialect, None)

        assert str(convert(returned) if convert else returned) == "12.50"
