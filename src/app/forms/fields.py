"""Fields for data of your own: texts, numbers and dates, each with the limits of its column on both databases."""

import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import wtforms
from wtforms import DateField, DateTimeLocalField, Field, Form, IntegerField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Optional, StopValidation

from app.forms.base import MaxLength
from app.lib.i18n.catalogs import get_locale_context, gettext
from app.lib.i18n.catalogs import lazy_gettext as _

MAX_INTEGER = 2**31 - 1  # of INTEGER on MySQL
FIRST_DAY, LAST_DAY = date(1000, 1, 1), date(9999, 12, 31)  # of DATE on MySQL
# A day less, so that the time is within those limits in UTC too.
FIRST_TIME, LAST_TIME = datetime(1000, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
LOCAL_TIME = "%Y-%m-%dT%H:%M"  # as browsers send it
LOCAL_TIMES = [LOCAL_TIME, "%Y-%m-%dT%H:%M:%S"]
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # controls, surrogates, separators of lines and paragraphs
NOT_A_DECIMAL = _("Enter a number like 12.50.")
IN_ZONE_OF_USER: dict[str, Any] = {"tz": lambda: get_locale_context().zone}  # types-WTForms 3.2 does not know tz
Bound = int | Decimal | date | datetime


class Within:
    """Refuse a value below or above the bounds. A value that could not be parsed has its message already."""

    def __init__(self, least: Bound, most: Bound, *, written: Callable[[Any], str] = str) -> None:
        self.least, self.most = least, most
        self.texts = {"least": written(least), "most": written(most)}
        self.field_flags = {"min": self.texts["least"], "max": self.texts["most"]}

    def __call__(self, _form: Form, field: Field) -> None:
        if field.data is not None and not self.least <= field.data <= self.most:
            raise StopValidation(gettext("Enter a value from %(least)s to %(most)s.", **self.texts))


class DecimalField(wtforms.DecimalField):
    def process_formdata(self, valuelist: list[Any]) -> None:
        """Refuse NaN and infinity, which Decimal accepts and a column does not."""
        super().process_formdata(valuelist)
        if self.data is not None and not self.data.is_finite():
            self.data = None
            raise ValueError(NOT_A_DECIMAL)


class MaxPlaces:
    """Refuse more decimal places than the column keeps."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.field_flags = {"step": str(Decimal(1).scaleb(-places))}

    def __call__(self, _form: Form, field: Field) -> None:
        if field.data is not None and field.data != round(field.data, self.places):
            raise StopValidation(gettext("Use at most %(number)s decimal places.", number=self.places))


def line_field(label: str, *, max_length: int, is_optional: bool = False) -> StringField:
    """Return a field for one line of text. Spaces around it are stripped, and a blank text is None."""
    length = MaxLength(max_length, _("Use at most %(number)s characters.", number=max_length))
    validators = [_present(DataRequired, is_optional=is_optional), length, check_line]
    return StringField(label, filters=[_stripped], validators=validators)


def text_field(label: str, *, max_length: int, is_optional: bool = False) -> TextAreaField:
    """Return a field for several lines of text. An empty text is None."""
    length = MaxLength(max_length, _("Use at most %(number)s characters.", number=max_length))
    validators = [_present(DataRequired, is_optional=is_optional), length, check_text]
    return TextAreaField(label, filters=[_with_line_feeds], validators=validators)


def integer_field(label: str, *, is_optional: bool = False) -> IntegerField:
    """Return a field for an integer of 32 bits."""
    bounds = Within(-MAX_INTEGER, MAX_INTEGER)
    return IntegerField(label, **_options(_("Enter a whole number."), bounds, is_optional=is_optional))


def decimal_field(label: str, *, digits: int, places: int, is_optional: bool = False) -> DecimalField:
    """Return a field for a decimal number of so many digits, `places` of them after the point."""
    most = (Decimal(10) ** digits - 1).scaleb(-places)
    validators = Within(-most, most), MaxPlaces(places)
    return DecimalField(label, places=places, **_options(NOT_A_DECIMAL, *validators, is_optional=is_optional))


def date_field(label: str, *, is_optional: bool = False) -> DateField:
    """Return a field for a day."""
    bounds = Within(FIRST_DAY, LAST_DAY)
    return DateField(label, **_options(_("Enter a date like 2030-12-31."), bounds, is_optional=is_optional))


def datetime_field(label: str, *, is_optional: bool = False) -> DateTimeLocalField:
    """Return a field for a date and time in the time zone of the user. Its data is aware; show it by `local_time`."""
    bounds = Within(FIRST_TIME, LAST_TIME, written=lambda time: time.strftime(LOCAL_TIME))
    options = _options(_("Enter a date and time like 2030-12-31T18:00."), bounds, is_optional=is_optional)
    return DateTimeLocalField(label, format=LOCAL_TIMES, **options, **IN_ZONE_OF_USER)


def check_line(_form: Form, field: Field) -> None:
    if any(unicodedata.category(character) in UNPRINTABLE for character in field.data):
        raise StopValidation(gettext("This text contains a character that cannot be used."))


def check_text(_form: Form, field: Field) -> None:
    if any(unicodedata.category(character) in UNPRINTABLE for character in field.data if character not in "\n\t"):
        raise StopValidation(gettext("This text contains a character that cannot be used."))


def _present(required: Callable[[str], Any], *, is_optional: bool) -> Any:
    return Optional() if is_optional else required(_("Fill in this field."))


def _options(message: str, *validators: Callable[[Any, Any], None], is_optional: bool) -> dict[str, Any]:
    """Return the options of a field whose input is parsed, with the message for input that cannot be."""
    present = _present(InputRequired, is_optional=is_optional)
    return {"validators": [present, *validators], "invalid_value_message": message}


def _stripped(typed: str | None) -> str | None:
    """Return the text without the spaces around it, or None if it is blank, which Optional() does not validate."""
    text = (typed or "").strip(" ")
    return text if text.strip() else None


def _with_line_feeds(typed: str | None) -> str | None:
    """Return the text with the line ends that the browser counts: it sends two characters for each."""
    text = (typed or "").replace("\r\n", "\n").rstrip()
    return text or None
