"""Logging in."""

from wtforms import BooleanField, HiddenField

from app.forms.base import SiteForm, email_field, password_field


class LoginForm(SiteForm):
    # Of any form: accounts of an older installation may have addresses that we would refuse today.
    email = email_field()
    password = password_field("Password", required="Enter your password.")
    remember = BooleanField("Remember me")
    next = HiddenField()
