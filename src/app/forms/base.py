"""What all forms share."""

from collections.abc import Callable
from typing import Any

import wtforms
from email_validator import EmailNotValidError
from wtforms import Field, Form
from wtforms.validators import DataRequired, InputRequired, StopValidation

from app.languages import gettext
from app.languages import lazy_gettext as _
from app.models.user import EMAIL_LENGTH, valid_email

Validator = Callable[[Any, Any], None]
PASSWORD_LENGTH_SENT = 4096  # what a hash takes at most; how long a new one may be is the policy's business


class SiteForm(Form):
    """A form without tokens: middleware/forgery.py knows where a request comes from."""

    class Meta:
        locales = False

    def validate(self, extra_validators: Any = None) -> bool:
        """Check every field, and that none was sent twice: which of two passwords would be meant?"""
        valid = bool(super().validate(extra_validators))
        doubled = [field for field in self if len(field.raw_data or ()) > 1]
        for field in doubled:
            field.errors = [gettext("This field was sent more than once.")]
        return valid and not doubled

    def refuse(self, **messages: str) -> None:
        """Put what a service said beside the fields that it is about."""
        for name, message in messages.items():
            self[name].errors = [message]


class Shorter:
    """Refuse a longer text, and do not look at it any further."""

    def __init__(self, longest: int, message: str) -> None:
        self.longest = longest
        self.message = message
        self.field_flags = {"maxlength": longest}

    def __call__(self, _form: Form, field: Field) -> None:
        if len(field.data) > self.longest:
            raise StopValidation(self.message)


class EmailField(wtforms.EmailField):
    data: str  # a form that validates has it


class PasswordField(wtforms.PasswordField):
    data: str


def email_field(*more: Validator) -> EmailField:
    """Make a field for an address. Only spaces around it are taken off: a line break is no slip of the finger."""
    return EmailField(
        _("E-mail address"),
        filters=[lambda typed: typed.strip(" ") if typed else typed],
        validators=[
            DataRequired(_("Enter your e-mail address.")),
            Shorter(EMAIL_LENGTH, _("This address is too long.")),
            *more,
        ],
    )


def password_field(label: str, *more: Validator, required: str) -> PasswordField:
    """Make a field for a password, which is never sent back."""
    shorter = Shorter(PASSWORD_LENGTH_SENT, _("This password is too long."))
    return PasswordField(label, validators=[InputRequired(required), shorter, *more])


def check_email(_form: Form, field: Field) -> None:
    try:
        valid_email(field.data)
    except EmailNotValidError:
        raise StopValidation(gettext("Enter an e-mail address like name@example.com.")) from None
