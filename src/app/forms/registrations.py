"""Opening an account."""

from wtforms import HiddenField
from wtforms.validators import EqualTo

from app.forms.base import SiteForm, check_email, email_field, password_field


class RegistrationForm(SiteForm):
    email = email_field(check_email)
    password = password_field("Password", required="Choose a password.")
    password_confirm = password_field(
        "Password again", EqualTo("password", "The two passwords differ."), required="Type the password again."
    )
    next = HiddenField()
