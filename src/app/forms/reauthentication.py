"""Reauthenticate."""

from wtforms import HiddenField

from app.forms.base import SiteForm, password_field
from app.lib.i18n.catalogs import lazy_gettext as _


class ReauthenticationForm(SiteForm):
    password = password_field(_("Password"), required=_("Enter your password."))
    next = HiddenField()
