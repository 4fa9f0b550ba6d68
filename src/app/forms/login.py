"""Log in."""

from wtforms import BooleanField, HiddenField

from app.forms.base import SiteForm, email_field, password_field
from app.lib.i18n.catalogs import lazy_gettext as _


class LoginForm(SiteForm):
    # Not validated: accounts of an older installation may have e-mail addresses that are invalid today.
    email = email_field()
    password = password_field(_("Password"), required=_("Enter your password."))
    remember = BooleanField(_("Remember me"))
    next = HiddenField()
