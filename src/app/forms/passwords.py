"""Choosing and changing a password."""

from wtforms.validators import EqualTo

from app.forms.base import SiteForm, password_field


class NewPasswordForm(SiteForm):
    new_password = password_field("New password", required="Choose a new password.")
    new_password_confirm = password_field(
        "New password again",
        EqualTo("new_password", "The two passwords differ."),
        required="Type the new password again.",
    )


class PasswordChangeForm(NewPasswordForm):
    password = password_field("Current password", required="Enter your current password.")
