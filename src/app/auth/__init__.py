"""Imports for views: the current user, and the decorators of routes."""

from quart import Quart

from app.auth import access, device_cookie, error_pages, limits, preserved_forms, request_record, session_data
from app.auth.access import fresh_login_required, public, roles_accepted, roles_required
from app.auth.client import current_client
from app.auth.current_user import current_user, require_session, require_user
from app.auth.current_user import init_app as init_current_user
from app.auth.limits import rate_limited
from app.auth.preserved_forms import preserves_input, restored_form, restored_input

__all__ = [
    "current_client",
    "current_user",
    "fresh_login_required",
    "preserves_input",
    "public",
    "rate_limited",
    "require_session",
    "require_user",
    "restored_form",
    "restored_input",
    "roles_accepted",
    "roles_required",
]


def init_app(app: Quart) -> None:
    """Register the hooks. Quart calls those before a request in this order, those after it in reverse."""
    device_cookie.init_app(app)
    init_current_user(app)
    for module in (request_record, access, preserved_forms, session_data, error_pages, limits):
        module.init_app(app)
