"""Two-factor authentication: codes of an authenticator app, and recovery codes."""

from quart import Quart
from sqlalchemy.ext.asyncio import AsyncSession

from app.features.second_factor import codes, enrolment, factors, login_attempts, required_roles
from app.features.second_factor.models import LoginAttempt
from app.features.second_factor.second_factor_bp import second_factor_bp
from app.features.second_factor.second_factor_login_bp import second_factor_login_bp
from app.lib.i18n.catalogs import lazy_gettext
from app.lib.i18n.catalogs import noop as _
from app.services.extension_points import ROOT, Expiring, ExtensionPoints, Proof

EVENTS = {
    "second_factor_added": _("Two-factor authentication switched on"),
    "second_factor_removed": _("Two-factor authentication switched off"),
    "second_factor_reset": _("Two-factor authentication reset"),
    "second_factor_failed": _("Wrong code entered"),
    "recovery_code_used": _("Recovery code used"),
    "recovery_codes_replaced": _("Recovery codes replaced"),
}


def init_app(app: Quart) -> None:
    app.register_blueprint(second_factor_bp)
    app.register_blueprint(second_factor_login_bp)
    required_roles.init_app(app)
    points: ExtensionPoints = app.extensions["extension_points"]
    points.login_steps.append(login_attempts.begin)
    points.proofs.append(PROOF)
    points.access_ends.append(enrolment.end_access)
    points.expiring.append(Expiring(LoginAttempt.id, LoginAttempt.expires_on))
    points.event_labels.update(EVENTS)
    points.checks.append(required_roles.check)
    points.add_template("account", "second_factor/_account_link.html")
    points.add_command("users", "reset-second-factor", f"{__name__}.commands:reset_second_factor")
    points.add_command(ROOT, "rekey", f"{__name__}.commands:rekey")


async def is_required(session: AsyncSession, user_id: int) -> bool:
    return await factors.find(session, user_id=user_id) is not None


PROOF = Proof(
    name="code",
    label=lazy_gettext("Code from your authenticator app, or a recovery code"),
    required=lazy_gettext("Enter the code."),
    is_required=is_required,
    verify=codes.verify,
)
