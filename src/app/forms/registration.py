"""Register."""

from wtforms import HiddenField
from wtforms.validators import EqualTo

from app.forms.base import SiteForm, check_email, email_field, password_field
from app.lib.i18n.catalogs import lazy_gettext as _


class RegistrationForm(SiteForm):
    email = email_field(check_email)
    password = password_field(_("Password"), required=_("Choose a password."))
    password_confirm = password_field(
        _("Password again"),
        EqualTo("password", _("The two passwords do not match.")),
        required=_("Enter the password again."),
    )
    next = HiddenField()
