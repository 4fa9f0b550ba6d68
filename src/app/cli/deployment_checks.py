"""The checks of `quart --app run check`: settings, files, clocks, the database, and the proxies in front."""

import asyncio
import json
import stat
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from quart import Quart
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.cluster_check import check_writer
from app.lib import clock, proxy_probe
from app.lib.db import db
from app.lib.db.url import database_url
from app.lib.settings.base_url import BaseUrl
from app.lib.settings.loader import ENV_FILES, ROOT, unknown_settings
from app.models import Base, UserSession
from app.services.extension_points import extension_points

RESPONSE_TIMEOUT_SECONDS = 5


class Findings(NamedTuple):
    problems: list[str]
    skipped: list[str]  # the reasons why something could not be checked


async def run_checks(app: Quart) -> Findings:
    """Run every check. The schema was checked before, by check_database_ready()."""
    problems = [*check_names(app), *check_settings(app), *check_files(app), *check_tables(Base.metadata)]
    for check in extension_points().checks:
        problems += await check(app.config)
    problems += await db.read(check_clock)
    if database_url(app.config).get_backend_name() != "sqlite":
        problems += await db.read(check_mysql)
        problems += await check_writer()
    try:
        problems += await asyncio.to_thread(check_proxies, app)
    except OSError as error:
        base_url = app.config["BASE_URL"]
        if isinstance(getattr(error, "reason", None), SSLError):
            return Findings([*problems, f"the certificate of {base_url} does not verify: {error}"], [])
        return Findings(problems, [f"the proxies, because {base_url} does not respond: {error}"])
    return Findings(problems, [])


def check_names(app: Quart) -> Iterator[str]:
    for name, closest in unknown_settings(app):
        yield f"no such setting: {name}" + (f"; did you mean {closest}?" if closest else "")


def check_settings(app: Quart) -> Iterator[str]:
    config, base_url = app.config, BaseUrl.parse(app.config["BASE_URL"])
    if base_url.is_loopback:
        yield f"BASE_URL is {base_url}: set it to the public URL"
    elif not base_url.is_secure:
        yield f"BASE_URL is {base_url}: without https the network can read passwords, and cookies are not Secure"
    elif not config["TRUSTED_PROXIES"]:
        yield (
            "BASE_URL is https, which needs a proxy in front, and TRUSTED_PROXIES is 0: "
            "rate limits would count all clients as one"
        )
    yield from check_mail(config)
    if config["SECURITY_PASSWORD_LENGTH_MIN"] < 8:
        yield "SECURITY_PASSWORD_LENGTH_MIN is below 8"


def check_mail(config: Mapping[str, Any]) -> Iterator[str]:
    if not config["MAIL_SERVER"]:
        yield "MAIL_SERVER is empty: users cannot reset passwords, and get no security alerts"
    elif config["MAIL_PASSWORD"] and not (config["MAIL_USE_TLS"] or config["MAIL_USE_SSL"]):
        yield "MAIL_PASSWORD would be sent unencrypted: set MAIL_USE_TLS or MAIL_USE_SSL"


def check_files(app: Quart) -> Iterator[str]:
    """Find private files that other users of this machine can read or change."""
    folder = Path(app.instance_path).resolve()
    private = [folder / "application.cfg.py", folder / "secret_key", *(ROOT / name for name in ENV_FILES)]
    database = database_url(app.config)
    if database.get_backend_name() == "sqlite" and not str(database.database).startswith("file:"):
        file = Path(database.database or "").resolve()
        private += [file, file.with_name(f"{file.name}-wal")]
    for path in filter(Path.exists, private):
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield f"{path} can be read or changed by every user of this machine: chmod o= {path}"
    if folder.stat().st_mode & stat.S_IWOTH:
        yield f"every user of this machine can replace files in {folder}: chmod o-w {folder}"


def check_tables(metadata: MetaData) -> Iterator[str]:
    """Find foreign keys that prevent the deletion of accounts: to `user`, or to rows that are deleted with it."""
    deleted = {"user"}
    for table in metadata.sorted_tables:  # a table follows those that it refers to
        for key in table.foreign_keys:
            referred, action = key.column.table.name, (key.ondelete or "").upper()
            if referred not in deleted:
                continue
            if action == "CASCADE":
                deleted.add(table.name)
            elif action != "SET NULL" or not key.parent.nullable:
                yield f'{table.name}.{key.parent.name} refers to {referred} without ondelete="CASCADE": deletions fail'


async def check_clock(session: AsyncSession) -> list[str]:
    newest = await session.scalar(select(func.max(UserSession.last_seen_on)))
    if newest is not None and newest > clock.now() + clock.MAX_DIFFERENCE:
        return [f"the clock is wrong: a session was last used in the future, {newest:%Y-%m-%d %H:%M:%S} UTC"]
    return []


async def check_mysql(session: AsyncSession) -> list[str]:
    query = "SELECT @@sql_mode, @@character_set_database, UTC_TIMESTAMP()"
    mode, database_charset, now = (await session.execute(text(query))).one()
    problems = []
    if "STRICT_ALL_TABLES" not in mode:
        problems.append(f"sql_mode is {mode!r}, which truncates values: check SQLALCHEMY_ENGINE_OPTIONS")
    if database_charset != "utf8mb4":
        problems.append(f"the charset of the database is {database_charset}: ALTER DATABASE … CHARACTER SET utf8mb4")
    if abs(now - clock.now().replace(tzinfo=None)) > clock.MAX_DIFFERENCE:
        problems.append(f"the clock of the database is {now} UTC, that of this machine {clock.now():%Y-%m-%d %H:%M:%S}")
    return problems


def check_proxies(app: Quart) -> list[str]:
    """Send a request to BASE_URL, and compare the proxies that it passes with TRUSTED_PROXIES. Raises OSError."""
    base_url, hops = app.config["BASE_URL"], app.config["TRUSTED_PROXIES"]
    probe = {proxy_probe.HEADER: proxy_probe.signed_probe(app.config["SECRET_KEY"])}
    try:
        proxies = _count_proxies(base_url, probe | {"X-Forwarded-For": proxy_probe.PROBE_IP})
    except HTTPError as error:
        return [f"{base_url}/healthz responds with {error.code}"]
    except (ValueError, KeyError, TypeError, HTTPException):
        return [f"{base_url} is another site, or has another SECRET_KEY"]
    if proxies < hops:
        return [f"TRUSTED_PROXIES is {hops}, but there are {proxies}: clients can forge their IP address"]
    if proxies > hops:
        return [f"TRUSTED_PROXIES is {hops}, but there are {proxies}: rate limits count all clients as one"]
    return []


def _count_proxies(base_url: str, probe: dict[str, str]) -> int:
    request = Request(f"{base_url}/healthz", headers=probe)  # noqa: S310 # BASE_URL is http or https
    with urlopen(request, timeout=RESPONSE_TIMEOUT_SECONDS) as response:  # noqa: S310
        return int(json.load(response)["proxies"])
