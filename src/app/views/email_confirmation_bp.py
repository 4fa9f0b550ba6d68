"""Confirm an e-mail address, and request another link."""

from quart import Blueprint, flash, redirect, render_template, request, session
from quart.typing import ResponseReturnValue

from app.auth import current_client, current_user, preserves_input, public, rate_limited, require_user
from app.auth.device_cookie import trust_device
from app.auth.email_links import verify_token
from app.forms.email import EmailForm
from app.forms.password import NewPasswordForm
from app.lib import clock
from app.lib.db import db
from app.lib.i18n.catalogs import gettext as _
from app.lib.passwords.policy import PasswordRefused
from app.models import User
from app.models.user_token import TokenPurpose
from app.services import email_confirmation, tokens
from app.services.email_confirmation import PasswordNeeded
from app.views.responses import render_invalid_form

email_confirmation_bp = Blueprint("email_confirmation", __name__)  # with SECURITY_CONFIRMABLE
confirmation_links_bp = Blueprint("confirmation_links", __name__)
FINGERPRINT = "password_fingerprint"  # key in Quart's session: shows that this browser has set the password
FINGERPRINT_LIFETIME = tokens.LIFETIME[TokenPurpose.CONFIRM]


@email_confirmation_bp.get("/confirm")
@public
async def new() -> ResponseReturnValue:
    return await render_template("email_confirmation/new.html", form=EmailForm())


@email_confirmation_bp.post("/confirm")
@public
@rate_limited("EMAILS_PER_IP")
async def create() -> ResponseReturnValue:
    form = EmailForm(await request.form)
    if not form.validate():
        return await render_invalid_form("email_confirmation/new.html", form)

    await email_confirmation.resend(form.email.data, client=current_client())
    await flash(_("If there is an unconfirmed account for this e-mail address, we have sent a new link."))
    return redirect("/login", 303)


@confirmation_links_bp.post("/account/confirm")
@preserves_input()
@rate_limited("EMAILS_PER_IP")
async def request_link() -> ResponseReturnValue:
    """Send the logged-in user a link, also on a site where a login does not need a confirmed e-mail address."""
    user = await require_user()
    await email_confirmation.resend(user.email, client=current_client())
    await flash(_("Check your inbox: we have sent a link to %(email)s. Open it in this browser.", email=user.email))
    return redirect("/account", 303)


@confirmation_links_bp.get("/confirm/<token>")
@public
async def edit(token: str) -> ResponseReturnValue:
    user = await user_of(token)
    return await render_template("email_confirmation/edit.html", form=NewPasswordForm(), **context_of(user))


@confirmation_links_bp.post("/confirm/<token>")
@public
async def update(token: str) -> ResponseReturnValue:
    user, form = await user_of(token), NewPasswordForm(await request.form)
    if is_logged_in_as(user):
        return await confirm_own(token)
    needs_password = context_of(user)["needs_password"]
    if needs_password and not form.validate():
        return await render_invalid_form("email_confirmation/edit.html", form, context_of(user))

    try:
        user = await email_confirmation.confirm(
            verify_token(token, purpose=TokenPurpose.CONFIRM),
            fingerprint=kept_fingerprint(),
            new_password=form.new_password.data if needs_password else None,
            client=current_client(),
        )
    except PasswordRefused as error:
        errors = {"new_password": str(error)}
        return await render_invalid_form("email_confirmation/edit.html", form, context_of(user), **errors)
    except PasswordNeeded:  # another password was set after the page was shown
        return redirect(request.path, 303)

    session.pop(FINGERPRINT, None)
    await trust_device(user.email)
    await flash(_("Your e-mail address is confirmed. You can log in now."))
    return redirect("/login", 303)


async def confirm_own(token: str) -> ResponseReturnValue:
    """Confirm the e-mail address of the logged-in user, who keeps the password and the sessions."""
    verified = verify_token(token, purpose=TokenPurpose.CONFIRM)
    user = await db.write(email_confirmation.confirm_own, verified, client=current_client())
    await trust_device(user.email)
    await flash(_("Your e-mail address is confirmed."))
    return redirect("/account", 303)


def is_logged_in_as(user: User) -> bool:
    return current_user.user is not None and current_user.user.id == user.id


def keep_fingerprint(fingerprint: str) -> None:
    """Note in this browser that it has set the password of an account, as long as the link is valid."""
    session[FINGERPRINT] = fingerprint, (clock.now() + FINGERPRINT_LIFETIME).timestamp()


def kept_fingerprint() -> str | None:
    fingerprint, expires_on = session.get(FINGERPRINT, (None, 0))
    return fingerprint if clock.now().timestamp() < expires_on else None


async def user_of(token: str) -> User:
    await current_user.load()
    purpose = TokenPurpose.CONFIRM
    return (await db.read(tokens.find, verify_token(token, purpose=purpose), purpose=purpose)).user


def context_of(user: User) -> dict[str, object]:
    is_own = email_confirmation.password_set_in_this_browser(user, kept_fingerprint())
    needs_password = not is_own and not is_logged_in_as(user)
    return {"email": user.email, "needs_password": needs_password, "is_logged_in": is_logged_in_as(user)}
