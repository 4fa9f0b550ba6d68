"""Passkeys: log in with the screen lock of a device or with a security key (docs/features/passkeys.md)."""

import logging

from quart import Quart

from app.features.passkeys.models import PasskeyChallenge
from app.features.passkeys.passkeys import EVENT_LABELS, end_access
from app.features.passkeys.passkeys_bp import passkeys_bp
from app.features.passkeys.prompts_bp import prompts_bp
from app.features.passkeys.relying_party import can_be_used, is_other_host, relying_party
from app.lib.settings.base_url import BaseUrl
from app.services.extension_points import Expiring, ExtensionPoints


def init_app(app: Quart) -> None:
    points: ExtensionPoints = app.extensions["extension_points"]
    points.access_ends.append(end_access)
    points.expiring.append(Expiring(PasskeyChallenge.nonce, PasskeyChallenge.expires_on))
    points.add_command("users", "remove-passkeys", f"{__name__}.commands:remove_passkeys")
    points.event_labels.update(EVENT_LABELS)
    if not can_be_used(BaseUrl.parse(app.config["BASE_URL"])):
        return
    for page in ("account", "login", "reauthentication"):
        points.add_template(page, f"passkeys/_{page}.html")
    app.register_blueprint(passkeys_bp)
    app.register_blueprint(prompts_bp)
    app.add_template_global(relying_party)
    app.add_template_test(is_other_host, "other_host")
    logging.getLogger("fido2").setLevel(logging.WARNING)  # at lower levels it logs credential ids
