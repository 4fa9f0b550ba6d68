"""The profile of a user, and the deletion of an account."""

from wtforms import Field, Form, StringField
from wtforms.validators import Optional, StopValidation

from app.forms.base import MaxLength, SiteForm, password_field
from app.forms.phone import phone_field
from app.lib.i18n.catalogs import gettext
from app.lib.i18n.catalogs import lazy_gettext as _
from app.models.user import NAME_LENGTH


def check_printable(_form: Form, field: Field) -> None:
    if not field.data.isprintable():
        raise StopValidation(gettext("This name contains a character that cannot be used."))


def one_line(typed: str | None) -> str | None:
    """Strip spaces only, so that check_printable refuses a line break."""
    return typed.strip(" ") if typed and not typed.isspace() else None


class ProfileForm(SiteForm):
    name = StringField(
        _("Name"),
        filters=[one_line],
        validators=[Optional(), MaxLength(NAME_LENGTH, _("This name is too long.")), check_printable],
    )
    phone = phone_field()


class DeletionForm(SiteForm):
    password = password_field(_("Password"), required=_("Enter your password."))
