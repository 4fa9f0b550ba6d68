"""The field for a code."""

from wtforms import StringField
from wtforms.validators import InputRequired

from app.forms.base import MaxLength, SiteForm
from app.lib.i18n.catalogs import lazy_gettext as _

MAX_CODE_LENGTH = 100


class CodeForm(SiteForm):
    code = StringField(
        _("Code"),
        validators=[InputRequired(_("Enter the code.")), MaxLength(MAX_CODE_LENGTH, _("This code is too long."))],
    )
