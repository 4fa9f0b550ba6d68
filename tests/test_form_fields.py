"""The fields for forms of your own: a choice, and an uploaded file."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
from quart import Quart, request
from quart.datastructures import FileStorage
from quart.typing import TestClientProtocol
from werkzeug.datastructures import CombinedMultiDict

from app.auth import public
from app.forms.base import SiteForm, file_field, select_field
from support.app import serving


class PictureForm(SiteForm):
    picture = file_field("Picture", required="Choose a picture.")
    license = select_field("License", {"own": "My own work", "free": "Free to use"})


@pytest.fixture
async def client(settings: dict[str, Any]) -> AsyncIterator[TestClientProtocol]:
    def add_form(app: Quart) -> None:
        @app.post("/picture")
        @public
        async def upload() -> dict[str, Any]:
            form = PictureForm(CombinedMultiDict([await request.files, await request.form]))
            valid = form.validate()
            return {"errors": form.errors, "bytes": len(form.picture.data.read()) if valid else None}

    async with serving(settings, add_form) as app:
        yield app.test_client()


async def upload(client: TestClientProtocol, license_: str, picture: FileStorage | None) -> Any:
    files = {"picture": picture} if picture else {"other": FileStorage(BytesIO(b"x"), "other.png")}
    return await (await client.post("/picture", form={"license": license_}, files=files)).get_json()


async def test_a_chosen_file_and_option_are_accepted(client: TestClientProtocol) -> None:
    found = await upload(client, "free", FileStorage(BytesIO(bytes(300)), "picture.png"))

    assert found == {"errors": {}, "bytes": 300}


async def test_a_missing_file_and_an_unknown_option_are_refused(client: TestClientProtocol) -> None:
    expected = {"picture": ["Choose a picture."], "license": ["Choose one of the options."]}
    for picture in (None, FileStorage(BytesIO(b""), "")):
        assert (await upload(client, "stolen", picture))["errors"] == expected
    text = await (await client.post("/picture", form={"license": "stolen", "picture": "a text"})).get_json()
    assert text["errors"] == expected


def test_the_options_are_rendered() -> None:
    assert '<option value="own">My own work</option>' in str(PictureForm().license())
