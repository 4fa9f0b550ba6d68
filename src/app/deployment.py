"""Whether the settings and the machine are as a site in public needs them: what `quart --app run check` says."""

import asyncio
import difflib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from quart import Quart
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base_url import BaseUrl
from app.config import DEFAULTS
from app.database_url import database_url
from app.middleware import self_check
from app.models import UserSession, clock, db

QUARTS_OWN = {"QUART_APP", "QUART_DEBUG", "QUART_ENV_FILE", "QUART_SKIP_DOTENV"}
CLOCK_MAY_DIFFER = timedelta(seconds=30)
SECONDS = 5  # that the site gets to answer


class Findings(NamedTuple):
    """What is wrong, and what could not be looked at."""

    wrong: list[str]
    unseen: list[str]


async def examine(app: Quart) -> Findings:
    """Look at everything. The schema of the database was looked at before: preflight.py."""
    wrong = [*of_names(app), *of_settings(app), *of_files(app)]
    wrong += await db.read(of_clock)
    if database_url(app.config).get_backend_name() != "sqlite":
        wrong += await db.read(of_mysql)
    try:
        wrong += await asyncio.to_thread(of_site, app)
    except OSError as error:
        if isinstance(getattr(error, "reason", None), SSLError):
            return Findings([*wrong, f"the certificate of {app.config['BASE_URL']} does not verify: {error}"], [])
        return Findings(wrong, [f"what stands in front of {app.config['BASE_URL']}, which does not answer: {error}"])
    return Findings(wrong, [])


def of_names(app: Quart) -> Iterator[str]:
    """Find settings that nothing reads: every unknown QUART_*, and in application.cfg.py what looks misspelt."""
    known = {f"QUART_{key}" for key in DEFAULTS} | QUARTS_OWN
    for name in sorted(name for name in os.environ if name.startswith("QUART_") and name not in known):
        yield f"no such setting: {name}"
    ours = {key for key in app.config if key not in DEFAULTS and key not in app.default_config}
    for name in sorted(ours):
        if meant := difflib.get_close_matches(name, DEFAULTS, n=1, cutoff=0.85):
            yield f"no such setting: {name}; {meant[0]} was meant?"


def of_settings(app: Quart) -> Iterator[str]:
    config, base_url = app.config, BaseUrl.parse(app.config["BASE_URL"])
    if base_url.is_loopback:
        yield f"BASE_URL is {base_url}: set it to the address that people type"
    elif not base_url.is_secure:
        yield f"BASE_URL is {base_url}: without https everybody on the way reads passwords, and cookies are not Secure"
    elif not config["TRUSTED_PROXIES"]:
        yield (
            "BASE_URL is https, which a proxy in front of us has to speak, and TRUSTED_PROXIES is 0: "
            "all visitors would be throttled as one"
        )
    yield from of_mail(config)
    if config["SECURITY_PASSWORD_LENGTH_MIN"] < 8:
        yield "SECURITY_PASSWORD_LENGTH_MIN is under 8"


def of_mail(config: Mapping[str, Any]) -> Iterator[str]:
    if not config["MAIL_SERVER"]:
        yield "MAIL_SERVER is empty: nobody gets a forgotten password back, and nobody is told of a log-in by a thief"
    elif config["MAIL_PASSWORD"] and not (config["MAIL_USE_TLS"] or config["MAIL_USE_SSL"]):
        yield "MAIL_PASSWORD would travel in the clear: set MAIL_USE_TLS or MAIL_USE_SSL"


def of_files(app: Quart) -> Iterator[str]:
    for name in ("application.cfg.py", "secret_key", "app.db"):
        path = Path(app.instance_path) / name
        if path.exists() and path.stat().st_mode & stat.S_IROTH:
            yield f"instance/{name} can be read by everybody on this machine: chmod o= {path}"


async def of_clock(session: AsyncSession) -> list[str]:
    newest = await session.scalar(select(func.max(UserSession.last_seen_on)))
    if newest is not None and newest > clock.now() + CLOCK_MAY_DIFFER:
        return [f"the clock is wrong: somebody was last seen in the future, {newest:%Y-%m-%d %H:%M:%S} UTC"]
    return []


async def of_mysql(session: AsyncSession) -> list[str]:
    query = "SELECT @@character_set_connection, @@sql_mode, @@character_set_database, UTC_TIMESTAMP()"
    charset, mode, database, now = (await session.execute(text(query))).one()
    wrong = []
    if charset != "utf8mb4":
        wrong.append(f"the connection speaks {charset} instead of utf8mb4: look at SQLALCHEMY_ENGINE_OPTIONS")
    if "STRICT_ALL_TABLES" not in mode:
        wrong.append(f"sql_mode is {mode!r}, which cuts values in silence: look at SQLALCHEMY_ENGINE_OPTIONS")
    if database != "utf8mb4":
        wrong.append(f"the database's own charset is {database}: ALTER DATABASE … CHARACTER SET utf8mb4")
    if abs(now - clock.now().replace(tzinfo=None)) > CLOCK_MAY_DIFFER:
        wrong.append(f"the database server's clock says {now} UTC, ours {clock.now():%Y-%m-%d %H:%M:%S}")
    return wrong


def of_site(app: Quart) -> list[str]:
    """Ask the running site, by the way that visitors take, how the request arrived. Raises OSError."""
    base_url, hops = app.config["BASE_URL"], app.config["TRUSTED_PROXIES"]
    question = {self_check.HEADER: self_check.signed_question(app.config["SECRET_KEY"])}
    try:
        proxies = _proxies_between(base_url, question | {"X-Forwarded-For": self_check.LIE})
    except HTTPError as error:
        return [f"{base_url}/healthz answers with {error.code}"]
    except (ValueError, KeyError, TypeError, HTTPException):
        return [f"{base_url} is another site, or one with another SECRET_KEY"]
    if proxies < hops:
        return [f"TRUSTED_PROXIES is {hops}, but {proxies} stand in front: visitors may say where they come from"]
    if proxies > hops:
        return [f"TRUSTED_PROXIES is {hops}, but {proxies} stand in front: all visitors are throttled as one"]
    return []


def _proxies_between(base_url: str, question: dict[str, str]) -> int:
    with urlopen(Request(f"{base_url}/healthz", headers=question), timeout=SECONDS) as answer:  # noqa: S310 # BASE_URL is http
        return int(json.load(answer)["arrived"]["proxies"])
