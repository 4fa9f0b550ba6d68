"""The same site in the way of the original, Flask and Flask-Security in threads: what ours is measured against."""

import os
import sys
import uuid
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, flash, redirect, render_template, request, session, url_for
from flask_security import (
    Security,
    SQLAlchemyUserDatastore,
    auth_required,
    current_user,
    hash_password,
    uia_email_mapper,
)
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, String, event, insert
from werkzeug.wrappers import Response

STATIC = Path(__file__).parents[2] / "src" / "app" / "static"
UTF8 = {"mysql_charset": "utf8mb4"}
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français")]
DEFAULTS = {
    "SITE_NAME": "Flask Boilerplate",
    "SECRET_KEY": "of-a-benchmark-and-nothing-else-0123456789abcdef",
    "SESSION_COOKIE_SAMESITE": "Lax",
    "REMEMBER_COOKIE_SAMESITE": "Lax",
    "WTF_CSRF_ENABLED": False,  # ours knows a forgery by the browser's headers and has no tokens
    "SECURITY_PASSWORD_SALT": "of-a-benchmark-too-0123456789abcdef",
    "SECURITY_PASSWORD_SCHEMES": ["argon2"],
    "SECURITY_PASSWORD_HASH": "argon2",
    "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": {  # the cost of ours
        "argon2__type": "ID",
        "argon2__memory_cost": 19456,
        "argon2__time_cost": 2,
        "argon2__parallelism": 1,
    },
    # By stock it compares lower(email), for which no index can be used. The collation of the column does it here.
    "SECURITY_USER_IDENTITY_ATTRIBUTES": [{"email": {"mapper": uia_email_mapper, "case_insensitive": False}}],
    "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
    "SECURITY_REGISTERABLE": True,
    "SECURITY_SEND_REGISTER_EMAIL": False,
    "SECURITY_CHANGEABLE": True,
    "SECURITY_SEND_PASSWORD_CHANGE_EMAIL": False,
    "SECURITY_TRACKABLE": False,
}

db = SQLAlchemy()
fsqla_v3.FsModels.set_db_info(db)


class Role(db.Model, fsqla_v3.FsRoleMixin):  # type: ignore[misc,name-defined]
    __table_args__ = UTF8


class User(db.Model, fsqla_v3.FsUserMixin):  # type: ignore[misc,name-defined]
    __table_args__ = UTF8
    email = Column(String(255).with_variant(String(255, collation="NOCASE"), "sqlite"), unique=True, nullable=False)
    name = Column(String(100), nullable=True)


main_pages_bp = Blueprint("main_pages", __name__)
accounts_bp = Blueprint("accounts", __name__)


@main_pages_bp.get("/")
def index() -> str:
    return render_template("index.html")


@main_pages_bp.get("/about")
def about() -> str:
    return render_template("about.html")


@main_pages_bp.post("/language")
def choose_language() -> Response:
    if request.form.get("language") in dict(LANGUAGES):
        session["language"] = request.form["language"]
    return redirect(url_for("main_pages.index"), 303)


@accounts_bp.get("/account")
@auth_required("session")
def edit() -> str:
    return render_template("account.html")


@accounts_bp.post("/account")
@auth_required("session")
def update() -> Response:
    current_user.name = request.form.get("name", "").strip()[:100] or None
    db.session.commit()
    flash("Saved.")
    return redirect(url_for("accounts.edit"), 303)


def create_app() -> Flask:
    app = Flask(__name__, static_folder=STATIC)
    app.config.from_mapping(DEFAULTS)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["PEER_DATABASE"]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(os.environ["PEER_DATABASE"])
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "extensions": ["jinja2.ext.i18n"]}
    app.jinja_env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    app.context_processor(lambda: {"languages": LANGUAGES, "language": session.get("language", "en")})
    db.init_app(app)
    if app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
        with app.app_context():
            event.listen(db.engine, "connect", set_pragmas)

    Security(app, SQLAlchemyUserDatastore(db, User, Role))
    app.register_blueprint(main_pages_bp)
    app.register_blueprint(accounts_bp)
    return app


def engine_options(url: str) -> dict[str, Any]:
    """Give each thread a connection, so that none waits for the pool; the rest is as in our engine.py."""
    threads = int(os.environ.get("PEER_THREADS", "8"))
    options: dict[str, Any] = {"pool_size": threads, "max_overflow": 0, "pool_pre_ping": True, "pool_recycle": 1800}
    return options if url.startswith("sqlite") else options | {"isolation_level": "READ COMMITTED"}


def set_pragmas(connection: Any, _record: Any) -> None:
    # Ours waits for one second and tries three times; this one does not try again.
    for pragma in ("busy_timeout=3000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()


app = create_app()


def create_tables() -> None:
    with app.app_context():
        db.create_all()


def add_user(email: str, password: str) -> None:
    with app.app_context():
        app.extensions["security"].datastore.create_user(email=email, password=hash_password(password))
        db.session.commit()


def prepare(password: str, number: int) -> None:
    """Begin anew with user1@example.com and so on, who share one hash: each of their own would take a while."""
    with app.app_context():
        db.drop_all()
        db.create_all()
        shared = {"password": hash_password(password), "active": True}
        own = [{"email": f"user{n}@example.com", "fs_uniquifier": uuid.uuid4().hex} for n in range(1, number + 1)]
        db.session.execute(insert(User), [shared | fields for fields in own])
        db.session.commit()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", password, number]:
            prepare(password, int(number))
        case _:
            sys.exit("usage: python peer.py prepare PASSWORD NUMBER")
