"""How a form that was not right is answered, and somebody who leaves."""

from collections.abc import Mapping

from quart import Response, jsonify, redirect, render_template
from werkzeug.wrappers import Response as WerkzeugResponse

from app.events import request_id
from app.forms.base import SiteForm
from app.middleware.errors import wants_json


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
