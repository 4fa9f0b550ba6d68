"""Request an e-mail, and change the e-mail address of an account."""

from app.forms.base import SiteForm, check_email, email_field


class EmailForm(SiteForm):
    # Not validated: accounts of an older installation may have e-mail addresses that are invalid today.
    email = email_field()


class EmailChangeForm(SiteForm):
    email = email_field(check_email)
