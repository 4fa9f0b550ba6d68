"""The key of the development mailbox, which is in the log of the start.

Without it, every client that reaches the site through a TCP forwarder could read the reset links. The key is derived
from SECRET_KEY and not generated at the start. So all workers have the same one, and it is valid after a restart.
"""

from app.lib.web.signing import signer

PATH = "/dev/mailbox"


def mailbox_path() -> str:
    """Return the path of the mailbox with its key."""
    return f"{PATH}?key={signer('dev-mailbox').get_signature(PATH).decode()}"


def is_mailbox_key(key: str) -> bool:
    return signer("dev-mailbox").verify_signature(PATH, key)
