"""Form input that is kept until its user has logged in again."""

from typing import Any

from quart import Quart
from quart.sessions import SecureCookieSessionInterface
from quart.typing import TestClientProtocol


def kept_in_cookie(app: Quart, client: TestClientProtocol) -> dict[str, Any]:
    """Return the contents of the cookie of Quart's session, which the browser can read."""
    values = [cookie.value for cookie in client.cookie_jar or () if cookie.name == "session"]
    assert isinstance(app.session_interface, SecureCookieSessionInterface)
    serializer = app.session_interface.get_signing_serializer(app)
    assert serializer is not None
    return dict(serializer.loads(values[0])) if values and values[0] else {}
