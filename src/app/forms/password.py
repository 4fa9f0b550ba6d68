"""Choose and change a password."""

from wtforms.validators import EqualTo

from app.forms.base import SiteForm, password_field
from app.lib.i18n.catalogs import lazy_gettext as _


class NewPasswordForm(SiteForm):
    new_password = password_field(_("New password"), required=_("Choose a new password."))
    new_password_confirm = password_field(
        _("New password again"),
        EqualTo("new_password", _("The two passwords do not match.")),
        required=_("Enter the new password again."),
    )


class PasswordChangeForm(NewPasswordForm):
    password = password_field(_("Current password"), required=_("Enter your current password."))
