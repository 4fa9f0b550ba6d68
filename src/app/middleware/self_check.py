"""How a request arrived, told to nobody but ourselves: `quart --app run check` asks, and signs the question."""

from itsdangerous import BadSignature, TimestampSigner
from quart import current_app, request

HEADER = "X-Self-Check"
LIE = "192.0.2.1"  # where no request comes from (RFC 5737): written into the question, for proxies to pass on or not
SECONDS = 60  # that a question is good for


def signed_question(secret_key: str) -> str:
    return TimestampSigner(secret_key, salt="self-check").sign("how did I arrive?").decode()


def arrival() -> dict[str, object] | None:
    """Return what the proxies in front wrote, if it was us who asked."""
    try:
        signer = TimestampSigner(current_app.config["SECRET_KEY"], salt="self-check")
        signer.unsign(request.headers.get(HEADER, ""), max_age=SECONDS)
    except BadSignature:
        return None
    addresses = [address.strip() for address in ",".join(request.headers.getlist("X-Forwarded-For")).split(",")]
    return {"proxies": len([address for address in addresses if address not in ("", LIE)])}
