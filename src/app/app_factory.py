"""The app, put together."""

from collections.abc import Mapping
from typing import Any

from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart

from app import cli, config, lifespan, templating
from app.base_url import BaseUrl
from app.database_url import database_url
from app.middleware import (
    asgi,
    authentication,
    body_guard,
    devices,
    errors,
    headers,
    json_bodies,
    kept_forms,
    languages,
    last_seen,
    request_log,
    static_files,
    targets,
    throttling,
)
from app.middleware.body_guard import BodyGuard
from app.middleware.forgery import ForgeryGuard
from app.middleware.headers import SecurityHeaders
from app.middleware.hosts import HostGuard
from app.middleware.request_log import RequestLog
from app.middleware.targets import TargetGuard
from app.models import db
from app.templating import SyncEnvironment
from app.views.accounts_bp import accounts_bp
from app.views.alarms_bp import alarms_bp
from app.views.confirmations_bp import confirmations_bp
from app.views.emails_bp import emails_bp
from app.views.health_bp import health_bp
from app.views.languages_bp import languages_bp
from app.views.links_bp import links_bp
from app.views.mailbox_bp import mailbox_bp
from app.views.main_api_bp import main_api_bp
from app.views.main_pages_bp import main_pages_bp
from app.views.passwords_bp import passwords_bp
from app.views.recoveries_bp import recoveries_bp
from app.views.registrations_bp import registrations_bp
from app.views.sessions_bp import sessions_bp
from app.views.verifications_bp import verifications_bp


def create_app(overrides: Mapping[str, Any] | None = None) -> Quart:
    """Make an app of its own settings and state. Raises ConfigError for a setting that it must not start with."""
    overrides = overrides or {}
    instance = config.instance_path(overrides)
    app = Quart("app", instance_path=str(instance))
    app.jinja_environment = SyncEnvironment  # type: ignore[assignment] # Quart's is asynchronous
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    config.load(app, overrides)

    add_extensions(app)
    add_middleware(app)
    add_blueprints(app)
    templating.init_app(app)
    cli.init_app(app)
    return app


def add_extensions(app: Quart) -> None:
    settings = app.config
    url, timeout = database_url(settings), settings["DATABASE_TIMEOUT"]
    try:
        db.init_app(app, url=url, timeout=timeout, options=settings["SQLALCHEMY_ENGINE_OPTIONS"])
    except TypeError as error:
        raise config.ConfigError(f"SQLALCHEMY_ENGINE_OPTIONS: {error}") from error
    lifespan.init_app(app)


def add_middleware(app: Quart) -> None:
    """Add the ASGI middleware, the outermost last, and the hooks of Quart."""
    base_url = BaseUrl.parse(app.config["BASE_URL"])
    wall: Any = app.asgi_app
    wall = BodyGuard(wall, base_url, site=app)
    wall = TargetGuard(wall, base_url)
    wall = ForgeryGuard(wall, base_url)
    wall = HostGuard(wall, base_url, trusted=app.config["TRUSTED_HOSTS"])
    wall = RequestLog(wall)
    wall = SecurityHeaders(wall, base_url)
    if hops := app.config["TRUSTED_PROXIES"]:
        wall = ProxyFixMiddleware(wall, trusted_hops=hops)
    app.asgi_app = wall  # type: ignore[method-assign] # the documented place for ASGI middleware

    # Quart calls the hooks before a request in this order, and those after it in the opposite one.
    for module in (body_guard, json_bodies, targets, request_log, languages, asgi, devices, authentication, last_seen):
        module.init_app(app)
    for module in (kept_forms, headers, static_files, errors, throttling):
        module.init_app(app)


def add_blueprints(app: Quart) -> None:
    always = (main_pages_bp, main_api_bp, health_bp, sessions_bp, verifications_bp, accounts_bp, links_bp, languages_bp)
    for blueprint in always:
        app.register_blueprint(blueprint)
    optional = {
        registrations_bp: "SECURITY_REGISTERABLE",
        passwords_bp: "SECURITY_CHANGEABLE",
        confirmations_bp: "SECURITY_CONFIRMABLE",
        recoveries_bp: "SECURITY_RECOVERABLE",
        alarms_bp: "SECURITY_RECOVERABLE",
        emails_bp: "MAIL_CAN_LEAVE",
        mailbox_bp: "MAIL_STAYS",
    }
    for blueprint, setting in optional.items():
        if app.config[setting]:
            app.register_blueprint(blueprint)
