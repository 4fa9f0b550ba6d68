"""Showing one's password again."""

from wtforms import HiddenField

from app.forms.base import SiteForm, password_field
from app.languages import lazy_gettext as _


class VerificationForm(SiteForm):
    password = password_field(_("Password"), required=_("Enter your password."))
    next = HiddenField()
