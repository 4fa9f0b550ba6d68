"""The profile of a user, and the deletion of an account."""

from wtforms import Field, Form, StringField, TelField
from wtforms.validators import Optional, StopValidation

from app.forms.base import MaxLength, SiteForm, password_field
from app.lib.i18n.catalogs import gettext
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.phone import PHONE_LENGTH, valid_phone
from app.models.user import NAME_LENGTH


def check_phone(_form: Form, field: Field) -> None:
    try:
        valid_phone(field.data)
    except ValueError:
        raise StopValidation(gettext("Include the country code, like +49 30 1234567.")) from None


def check_printable(_form: Form, field: Field) -> None:
    if not field.data.isprintable():
        raise StopValidation(gettext("This name contains a character that cannot be used."))


def one_line(typed: str | None) -> str | None:
    """Strip spaces only, so that check_printable refuses a line break."""
    return typed.strip(" ") if typed and not typed.isspace() else None


def stripped(typed: str | None) -> str | None:
    return typed.strip() if typed else None


class ProfileForm(SiteForm):
    name = StringField(
        _("Name"),
        filters=[one_line],
        validators=[Optional(), MaxLength(NAME_LENGTH, _("This name is too long.")), check_printable],
    )
    phone = TelField(
        _("Phone"),
        filters=[stripped],
        validators=[Optional(), MaxLength(PHONE_LENGTH, _("This number is too long.")), check_phone],
    )


class DeletionForm(SiteForm):
    password = password_field(_("Password"), required=_("Enter your password."))
