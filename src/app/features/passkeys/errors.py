"""The errors of a refused passkey. The user sees the message, and the reason is only in the log."""

from app.lib.errors import ServiceError
from app.lib.i18n.catalogs import lazy_gettext as _


class PasskeyRefused(ServiceError):
    """The response of a browser is malformed, forged, replayed, or made for another site, user or session."""

    code = "passkey_refused"
    message = _("This passkey cannot be used. Try again, or use your password.")

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class ChallengeExpired(PasskeyRefused):
    code = "challenge_expired"
    message = _("That took too long. Try again.")


class UnknownPasskey(PasskeyRefused):
    """The passkey was removed from the account, and is still on the device."""

    code = "unknown_passkey"
    message = _("This passkey was removed from its account. Use another one, or your password.")


class PasskeyTaken(PasskeyRefused):
    code = "passkey_taken"
    message = _("This passkey was already added.")


class TooManyPasskeys(PasskeyRefused):
    code = "too_many_passkeys"
    message = _("You have reached the maximum number of passkeys. Remove one first.")
