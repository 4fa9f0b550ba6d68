"""The field for a phone number. docs/how-to/remove-a-part.md removes it."""

from wtforms import Field, Form, TelField
from wtforms.validators import Optional, StopValidation

from app.forms.base import MaxLength
from app.lib.i18n.catalogs import gettext
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.phone import PHONE_LENGTH, valid_phone


def check_phone(_form: Form, field: Field) -> None:
    try:
        valid_phone(field.data)
    except ValueError:
        raise StopValidation(gettext("Include the country code, like +49 30 1234567.")) from None


def phone_field() -> TelField:
    return TelField(
        _("Phone"),
        filters=[lambda typed: typed.strip() if typed else None],
        validators=[Optional(), MaxLength(PHONE_LENGTH, _("This number is too long.")), check_phone],
    )
