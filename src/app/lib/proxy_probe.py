"""Count the proxies in front of the site: `quart --app run check` sends a signed request to /healthz.

The response contains the count only if the request was signed with the SECRET_KEY of the site.
"""

from itsdangerous import BadSignature, TimestampSigner
from quart import current_app, request

HEADER = "X-Self-Check"
PROBE_IP = "192.0.2.1"  # RFC 5737: no client has it. Sent in X-Forwarded-For, which a proxy may keep or replace
MAX_AGE_SECONDS = 60


def signed_probe(secret_key: str) -> str:
    return TimestampSigner(secret_key, salt="self-check").sign("probe").decode()


def observed_proxies() -> int | None:
    """Return how many proxies have added an IP address to X-Forwarded-For. None if the request is not a probe."""
    try:
        signer = TimestampSigner(current_app.config["SECRET_KEY"], salt="self-check")
        signer.unsign(request.headers.get(HEADER, ""), max_age=MAX_AGE_SECONDS)
    except BadSignature:
        return None
    addresses = [address.strip() for address in ",".join(request.headers.getlist("X-Forwarded-For")).split(",")]
    return len([address for address in addresses if address not in ("", PROBE_IP)])
