"""The options with which a browser creates a passkey or requests one."""

from collections.abc import Iterable
from typing import Any

from fido2.utils import websafe_decode
from fido2.webauthn import PublicKeyCredentialUserEntity, ResidentKeyRequirement, UserVerificationRequirement

from app.features.passkeys import challenges, credentials
from app.features.passkeys.challenges import Purpose
from app.features.passkeys.models import Passkey
from app.features.passkeys.relying_party import server
from app.models import User, UserSession

REQUIRED = UserVerificationRequirement.REQUIRED


def creation_options(user: User, handle: str, passkeys: Iterable[Passkey], session: UserSession) -> dict[str, Any]:
    """Return the options for a new passkey. A device that has one of `passkeys` creates no other."""
    entity = PublicKeyCredentialUserEntity(
        id=websafe_decode(handle), name=user.email, display_name=user.name or user.email
    )
    options, _state = server().register_begin(
        entity,
        [credentials.descriptor(passkey) for passkey in passkeys],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=REQUIRED,
        challenge=challenges.issue(Purpose.REGISTRATION, session),
    )
    return dict(options.public_key)


def request_options(
    purpose: Purpose, passkeys: Iterable[Passkey] = (), session: UserSession | None = None
) -> dict[str, Any]:
    """Return the options for a login with any passkey, or only with one of `passkeys`."""
    descriptors = [credentials.descriptor(passkey) for passkey in passkeys]
    options, _state = server().authenticate_begin(
        descriptors or None, user_verification=REQUIRED, challenge=challenges.issue(purpose, session)
    )
    return dict(options.public_key)
