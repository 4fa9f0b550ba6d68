"""Showing one's password again."""

from wtforms import HiddenField

from app.forms.base import SiteForm, password_field


class VerificationForm(SiteForm):
    password = password_field("Password", required="Enter your password.")
    next = HiddenField()
