"""The virtual authenticator of Chromium, in place of a device with passkeys."""

from typing import Any

from playwright.async_api import CDPSession

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
}


class Device:
    """The authenticator of a browser. If `touched`, the user confirms each request immediately."""

    def __init__(self, devtools: CDPSession) -> None:
        self.devtools, self.id = devtools, ""

    async def connect(self, *, touched: bool) -> None:
        await self.devtools.send("WebAuthn.enable")
        options = DEVICE | {"automaticPresenceSimulation": touched}
        added = await self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.id = added["authenticatorId"]

    async def touch(self, *, touched: bool) -> None:
        settings = {"authenticatorId": self.id, "enabled": touched}
        await self.devtools.send("WebAuthn.setAutomaticPresenceSimulation", settings)

    async def credentials(self) -> list[Any]:
        found = await self.devtools.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return list(found["credentials"])
