"""Asking for a mail, and changing the address of an account."""

from app.forms.base import SiteForm, check_email, email_field


class EmailForm(SiteForm):
    # Of any form: accounts of an older installation may have addresses that we would refuse today.
    email = email_field()


class EmailChangeForm(SiteForm):
    email = email_field(check_email)
