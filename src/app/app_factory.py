"""The app factory."""

from collections.abc import Mapping
from typing import Any, cast

from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart
from sqlalchemy.exc import ArgumentError

from app import auth, background, cli, default_config, features
from app.auth.decorators import check_order
from app.lib.asgi import body_limit, rejection, security_headers
from app.lib.asgi.body_limit import BodyLimitMiddleware
from app.lib.asgi.csrf import CrossOriginProtection
from app.lib.asgi.request_log import RequestLogMiddleware
from app.lib.asgi.request_target import RequestTargetMiddleware
from app.lib.asgi.security_headers import SecurityHeadersMiddleware
from app.lib.asgi.trusted_host import TrustedHostMiddleware
from app.lib.asgi.types import App
from app.lib.db import db
from app.lib.db.url import database_url
from app.lib.i18n import negotiation
from app.lib.settings import loader
from app.lib.settings.base_url import BaseUrl
from app.lib.web import request, static_files, templates, websocket_queue
from app.lib.web.templates import SyncEnvironment
from app.lib.web.websocket_queue import WebsocketQueueMiddleware
from app.views import labels
from app.views.account_bp import account_bp
from app.views.dev_mailbox_bp import dev_mailbox_bp
from app.views.email_change_bp import email_change_bp
from app.views.email_confirmation_bp import confirmation_links_bp, email_confirmation_bp
from app.views.email_links_bp import email_links_bp
from app.views.health_bp import health_bp
from app.views.language_bp import language_bp
from app.views.login_bp import login_bp
from app.views.main_api_bp import main_api_bp
from app.views.main_pages_bp import main_pages_bp
from app.views.password_change_bp import password_change_bp
from app.views.password_reset_bp import password_reset_bp
from app.views.reauthentication_bp import reauthentication_bp
from app.views.registration_bp import registration_bp
from app.views.security_alerts_bp import security_alerts_bp
from app.views.sessions_bp import sessions_bp

BLUEPRINTS = (
    main_pages_bp,
    main_api_bp,
    health_bp,
    login_bp,
    sessions_bp,
    reauthentication_bp,
    account_bp,
    email_links_bp,
    language_bp,
)
OPTIONAL_BLUEPRINTS = {
    registration_bp: "SECURITY_REGISTERABLE",
    password_change_bp: "SECURITY_CHANGEABLE",
    email_confirmation_bp: "SECURITY_CONFIRMABLE",
    confirmation_links_bp: "MAIL_ENABLED",
    password_reset_bp: "SECURITY_RECOVERABLE",
    security_alerts_bp: "SECURITY_RECOVERABLE",
    email_change_bp: "MAIL_ENABLED",
    dev_mailbox_bp: "MAIL_DEV_MAILBOX",
}


def create_app(overrides: Mapping[str, Any] | None = None) -> Quart:
    """Return an app with its own settings and state. Raises ConfigError for a setting that it must not start with."""
    overrides = overrides or {}
    loader.load_env_files()
    app = Quart("app", instance_path=str(loader.instance_path(overrides)))
    app.jinja_environment = SyncEnvironment  # type: ignore[assignment] # Quart's is asynchronous
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    loader.load(app, loader.defaults_of(default_config) | features.default_settings(), overrides)

    add_extensions(app)
    add_middleware(app)
    add_hooks(app)
    add_blueprints(app)
    features.init_app(app)
    check_order(app)
    templates.init_app(app)
    cli.init_app(app)
    return app


def add_extensions(app: Quart) -> None:
    settings = app.config
    url, timeout = database_url(settings), settings["DATABASE_TIMEOUT"]
    try:
        db.init_app(app, url=url, timeout=timeout, options=settings["SQLALCHEMY_ENGINE_OPTIONS"])
    except (ArgumentError, TypeError, ValueError) as error:
        raise loader.ConfigError(f"the database cannot be set up with these settings: {error}") from error
    background.init_app(app)


def add_middleware(app: Quart) -> None:
    """Wrap the app in ASGI middleware, the innermost first."""
    base_url = BaseUrl.parse(app.config["BASE_URL"])
    asgi_app: Any = WebsocketQueueMiddleware(cast(App, app.asgi_app))
    asgi_app = BodyLimitMiddleware(asgi_app, base_url, site=app)
    asgi_app = RequestTargetMiddleware(asgi_app, base_url)
    asgi_app = CrossOriginProtection(asgi_app, base_url, site=app)
    asgi_app = TrustedHostMiddleware(asgi_app, base_url, trusted=app.config["TRUSTED_HOSTS"])
    asgi_app = RequestLogMiddleware(asgi_app, app.extensions.setdefault("request_observers", []))
    asgi_app = SecurityHeadersMiddleware(asgi_app, base_url)
    if hops := app.config["TRUSTED_PROXIES"]:
        asgi_app = ProxyFixMiddleware(asgi_app, trusted_hops=hops)
    app.asgi_app = asgi_app  # type: ignore[method-assign] # the documented way to add ASGI middleware


def add_hooks(app: Quart) -> None:
    """Register the hooks. Quart calls those before a request in this order, those after it in reverse."""
    for module in (
        body_limit,
        request,
        websocket_queue,
        negotiation,
        rejection,
        auth,
        security_headers,
        static_files,
        labels,
    ):
        module.init_app(app)


def add_blueprints(app: Quart) -> None:
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    for blueprint, setting in OPTIONAL_BLUEPRINTS.items():
        if app.config[setting]:
            app.register_blueprint(blueprint)
