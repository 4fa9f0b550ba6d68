"""The name of a passkey."""

from wtforms import StringField
from wtforms.validators import DataRequired

from app.features.passkeys.models import NAME_LENGTH
from app.forms.account import check_printable, one_line
from app.forms.base import MaxLength, SiteForm
from app.lib.i18n.catalogs import lazy_gettext as _


class PasskeyForm(SiteForm):
    name = StringField(
        _("Name"),
        filters=[one_line],
        validators=[
            DataRequired(_("Enter a name.")),
            MaxLength(NAME_LENGTH, _("This name is too long.")),
            check_printable,
        ],
    )
