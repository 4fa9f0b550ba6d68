"""Responses that several views share."""

import re
from collections.abc import Mapping

from quart import Response, jsonify, redirect, render_template
from werkzeug.wrappers import Response as WerkzeugResponse

from app.events import request_id
from app.forms.base import SiteForm
from app.middleware.errors import wants_json

# A path on this site, in the characters of a URL. Neither //host nor /\host, which browsers take for another site.
PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1999}", re.ASCII)


def safe_path(target: str | None) -> str:
    """Return the requested path, or the front page if it is not a path on this site."""
    return target if target and PATH.fullmatch(target) else "/"


def say_good_bye() -> WerkzeugResponse:
    """Lead somebody who has left to the front page, and have the browser drop what its Back button would show.

    Chromium keeps whole pages in memory, also those that are no-store.
    """
    response = redirect("/", 303)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


async def ask_again(
    template: str, form: SiteForm, shown: Mapping[str, object] | None = None, **refusals: str
) -> tuple[Response | str, int]:
    """Show the form again with what is wrong beside each field, or tell a program; `refusals` are a service's."""
    form.refuse(**refusals)
    if wants_json():
        fields = {field.name: str(field.errors[0]) for field in form if field.errors}
        message = " ".join(fields.values())
        return jsonify(
            error={"code": "unprocessable_entity", "message": message, "fields": fields}, request_id=request_id.get()
        ), 422
    return await render_template(template, form=form, **(shown or {})), 422
