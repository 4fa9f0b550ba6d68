"""The base class and the fields of the forms."""

from collections.abc import Callable, Mapping
from typing import Any

import wtforms
from email_validator import EmailNotValidError
from wtforms import Field, Form
from wtforms.form import BaseForm
from wtforms.validators import DataRequired, InputRequired, StopValidation

from app.lib.email_address import strip_spaces, valid_email
from app.lib.i18n.catalogs import gettext
from app.lib.i18n.catalogs import lazy_gettext as _
from app.lib.passwords.policy import MAX_TYPED_LENGTH
from app.models.user import EMAIL_LENGTH

Validator = Callable[[Any, Any], None]
MULTIPLE_FIELDS = (wtforms.SelectMultipleField, wtforms.MultipleFileField, wtforms.FieldList)


class SiteForm(Form):
    """A form without a CSRF token: lib/asgi/csrf.py checks the origin of a request."""

    class Meta:
        locales = False

    def validate(self, extra_validators: Any = None) -> bool:
        """Validate every field, and refuse a field that was sent twice."""
        valid = bool(super().validate(extra_validators))
        single = [field for field in self if not isinstance(field, MULTIPLE_FIELDS)]
        doubled = [field for field in single if len(field.raw_data or ()) > 1]
        for field in doubled:
            field.errors = [gettext("This field was sent more than once.")]
        return valid and not doubled

    def add_errors(self, **messages: str) -> None:
        """Add the errors of a service to the fields that they are about."""
        for name, message in messages.items():
            self[name].errors = [message]


class MaxLength:
    """Refuse a longer text, and skip the validators after this one."""

    def __init__(self, length: int, message: str) -> None:
        self.length = length
        self.message = message
        self.field_flags = {"maxlength": length}

    def __call__(self, _form: Form, field: Field) -> None:
        if len(field.data or "") > self.length:  # None if the field was not sent
            raise StopValidation(self.message)


class EmailField(wtforms.EmailField):
    data: str  # not None in a valid form


class PasswordField(wtforms.PasswordField):
    data: str


def email_field(*more: Validator) -> EmailField:
    """Return a field for an e-mail address. Spaces around it are stripped; a line break is an error."""
    return EmailField(
        _("E-mail address"),
        filters=[lambda typed: strip_spaces(typed) if typed else typed],
        validators=[
            DataRequired(_("Enter your e-mail address.")),
            MaxLength(EMAIL_LENGTH, _("This e-mail address is too long.")),
            *more,
        ],
    )


def password_field(label: str, *more: Validator, required: str) -> PasswordField:
    """Return a field for a password, which is never sent back to the browser."""
    shorter = MaxLength(MAX_TYPED_LENGTH, _("This password is too long."))
    return PasswordField(label, validators=[InputRequired(required), shorter, *more])


class SelectField(wtforms.SelectField):
    def pre_validate(self, form: BaseForm) -> None:  # noqa: ARG002 # WTForms passes it by name
        """Refuse a value that is not among the choices, in the language of the user."""
        if not any(value == self.data for value, *_ in self.iter_choices()):
            raise StopValidation(gettext("Choose one of the options."))


def select_field(label: str, choices: Mapping[str, str], *more: Validator) -> SelectField:
    """Return a field for one of several values: `{"en": _("English")}`, each with its label."""
    options = [wtforms.SelectChoice(value, text) for value, text in choices.items()]  # type: ignore[attr-defined] # new in 3.3
    return SelectField(label, choices=options, validators=list(more))


def file_field(label: str, *more: Validator, required: str | None = None) -> wtforms.FileField:
    """Return a field for an uploaded file, of which `data` is a FileStorage.

    Make the form from both parts of the request: `CombinedMultiDict([await request.files, await request.form])`.
    """
    first = DataRequired(required) if required else _skip_if_no_file
    return wtforms.FileField(label, filters=[_chosen_file], validators=[first, *more])


def _chosen_file(uploaded: Any) -> Any:
    """Return the file. None for text, and for the empty part that a browser sends if no file was chosen."""
    return uploaded if getattr(uploaded, "filename", None) else None


def _skip_if_no_file(_form: Form, field: Field) -> None:
    """Skip the other validators if no file was chosen. Optional() would run them: a browser sends an empty part."""
    if field.data is None:
        raise StopValidation


def check_email(_form: Form, field: Field) -> None:
    try:
        valid_email(field.data)
    except EmailNotValidError:
        raise StopValidation(gettext("Enter an e-mail address like name@example.com.")) from None
