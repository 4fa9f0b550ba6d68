"""The relying party of WebAuthn: the site for which a passkey is valid."""

import ipaddress
from typing import NamedTuple

from fido2.server import Fido2Server
from fido2.webauthn import AttestationConveyancePreference, PublicKeyCredentialRpEntity

from app.features.passkeys import credentials
from app.lib.settings import current_settings
from app.lib.settings.base_url import Authority, BaseUrl


class RelyingParty(NamedTuple):
    """`id` is the host of BASE_URL without the port. Browsers send the origin, which must match exactly."""

    id: str
    origin: str


def can_be_used(base_url: BaseUrl) -> bool:
    """Return whether browsers offer passkeys at this URL: with https or on localhost, and with a host name."""
    if base_url.is_loopback:
        return True
    return base_url.is_secure and not _is_ip_address(base_url.authority.host)


def relying_party() -> RelyingParty:
    """Return the relying party of BASE_URL. It must have a host name, so a loopback IP address becomes localhost."""
    origin = _origin()
    return RelyingParty(origin.authority.host, str(origin))


def server() -> Fido2Server:
    """Return the relying party in the type of the library."""
    party = relying_party()
    entity = PublicKeyCredentialRpEntity(name=current_settings()["SITE_NAME"], id=party.id)
    none = AttestationConveyancePreference.NONE
    found = Fido2Server(entity, attestation=none, verify_origin=lambda origin: origin == party.origin)
    found.allowed_algorithms = [each for each in found.allowed_algorithms if each.alg in credentials.ALGORITHMS]
    return found


def is_other_host(host: str) -> bool:
    """Return whether a Host header names a host on which browsers offer no passkeys of this site."""
    return Authority.parse(host).host != relying_party().id


def _origin() -> BaseUrl:
    base_url = BaseUrl.parse(current_settings()["BASE_URL"])
    if base_url.is_loopback and _is_ip_address(base_url.authority.host):
        return base_url._replace(authority=Authority("localhost", base_url.authority.port))
    return base_url


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
