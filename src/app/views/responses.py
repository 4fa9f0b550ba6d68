"""Responses that several views share."""

import re
from collections.abc import Mapping

from quart import Response, jsonify, redirect, render_template
from werkzeug.wrappers import Response as WerkzeugResponse

from app.forms.base import SiteForm
from app.lib.logs import request_id
from app.lib.web.negotiation import wants_json

# A path on this site, in the characters of a URL. Neither //host nor /\host, which browsers read as another host.
PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1999}", re.ASCII)


def safe_path(target: str | None) -> str:
    """Return the target, or the front page if it is not a path on this site."""
    return target if target and PATH.fullmatch(target) else "/"


def redirect_home_and_clear_cache() -> WerkzeugResponse:
    """Redirect to the front page, and delete the pages that the Back button would show to the next user.

    Chromium keeps whole pages in memory, also those with `no-store`.
    """
    response = redirect("/", 303)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


async def render_invalid_form(
    template: str, form: SiteForm, context: Mapping[str, object] | None = None, **errors: str
) -> tuple[Response | str, int]:
    """Return the form with the error beside each field, or the errors as JSON. `errors` are those of a service."""
    form.add_errors(**errors)
    if wants_json():
        fields = {field.name: str(field.errors[0]) for field in form if field.errors}
        error = {"code": "unprocessable_entity", "message": " ".join(fields.values()), "fields": fields}
        return jsonify(error=error, request_id=request_id.get()), 422
    return await render_template(template, form=form, **(context or {})), 422
