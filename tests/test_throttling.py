"""How often something may be tried: counted in the database, for all processes together, and giving nobody away."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Iterable
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app import sweeper
from app.app_factory import create_app
from app.config import DEFAULTS, ConfigError
from app.models import Throttle, UserSession, clock, db
from app.rate import Rate
from app.services import throttling
from app.services.throttling import Limit
from conftest import SECRET_KEY, UNTHROTTLED, serving
from people import EMAIL, PASSWORD, change_password, create_user, execute, is_logged_in, log_in, read, register, write
from statements import sent_statements
from test_sessions import MovedClock

HERE = "192.0.2.1"
ELSEWHERE = (f"10.0.{number >> 8}.{number & 255}" for number in itertools.count())
OTHERS = (f"person{number}@example.com" for number in itertools.count())
THROTTLED = {key: DEFAULTS[key] for key in UNTHROTTLED}

on_sqlite = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | THROTTLED


@pytest.fixture
def moved_clock(monkeypatch: pytest.MonkeyPatch) -> MovedClock:
    moved = MovedClock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved


async def right(client: TestClientProtocol, *, ip: str = "", **more: Any) -> Response:
    """Log in, from an address that nobody used before unless it is said which."""
    form = {"email": EMAIL, "password": PASSWORD} | more
    headers = form.pop("headers", None)
    return await client.post("/login", form=form, headers=headers, scope_base={"client": (ip or next(ELSEWHERE), 4711)})


async def wrong(client: TestClientProtocol, **more: Any) -> Response:
    return await right(client, password="wrong horse", **more)


async def reset(client: TestClientProtocol, *, ip: str) -> Response:
    return await client.post("/reset", form={"email": EMAIL}, scope_base={"client": (ip, 4711)})


async def at_once(tries: Iterable[Awaitable[Response]]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*tries))


async def guess(client: TestClientProtocol, times: int, **more: Any) -> Counter[int]:
    return await at_once([wrong(client, **more) for _ in range(times)])


async def guess_at_others(client: TestClientProtocol, times: int, **more: Any) -> Counter[int]:
    return await at_once([wrong(client, email=next(OTHERS), **more) for _ in range(times)])


# Guesses at an account


async def test_the_sixth_wrong_password_is_refused_unseen(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)
    await create_user(app, "eve@example.com")

    assert [(await wrong(client)).status_code for _ in range(5)] == [422] * 5
    assert (await wrong(client)).status_code == 429
    assert (await right(client)).status_code == 429
    assert not await is_logged_in(client)
    assert (await right(client, email="eve@example.com")).status_code == 303


async def test_of_forty_guesses_at_once_five_are_looked_at(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    assert await guess(client, 40) == {422: 5, 429: 35}


async def test_two_workers_count_together(settings: dict[str, Any]) -> None:
    async with serving(settings) as one, serving(settings) as other:
        await create_user(one)
        tries = [wrong(app.test_client()) for app in (one, other) * 10]

        assert await at_once(tries) == {422: 5, 429: 15}


async def used(session: AsyncSession) -> int | None:
    return await session.scalar(select(Throttle.used))


async def test_who_waited_for_their_turn_counts_on_from_there(app: Quart, moved_clock: MovedClock) -> None:
    """What they saw of the clock before they waited would make the count of those in front look set too late."""
    limit, taken, go_on = Limit("try", "somebody", Rate.parse("5 per 10 seconds")), asyncio.Event(), asyncio.Event()

    async def take_and_hold(session: AsyncSession) -> None:
        await throttling.take(session, [limit])
        taken.set()
        await go_on.wait()

    await write(app, throttling.take, [limit])
    moved_clock.forward(timedelta(seconds=10))
    first = asyncio.create_task(write(app, take_and_hold))
    await taken.wait()
    moved_clock.forward(timedelta(seconds=-1))
    second = asyncio.create_task(write(app, throttling.take, [limit]))
    await asyncio.sleep(0.2)
    moved_clock.forward(timedelta(seconds=1))
    go_on.set()
    await asyncio.gather(first, second)

    assert await read(app, used) == 2


async def test_limits_in_another_order_cause_no_deadlock(app: Quart) -> None:
    one, other = (Limit("try", whose, Rate.parse("1000 per hour")) for whose in ("one", "other"))
    await write(app, throttling.take, [one, other])

    async def take_and_give_back(*limits: Limit) -> None:
        await write(app, throttling.give_back, await write(app, throttling.take, limits))

    with sent_statements(app) as sent:
        await asyncio.gather(*(take_and_give_back(*order) for order in [(one, other), (other, one)] * 10))

    assert sent.count("BEGIN") == 40  # no transaction ran again
    assert await read(app, used) == 1


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)  # on SQLite one writes at a time
async def test_whose_first_try_was_overtaken_counts_on_from_there(app: Quart) -> None:
    limit, overtaken = Limit("try", "somebody", Rate.parse("5 per hour")), list[Any]()

    async def take_slowly(session: AsyncSession) -> None:
        look = session.execute

        async def look_and_be_overtaken(*asked: Any) -> Any:
            found = await look(*asked)
            if not overtaken:
                other_request = asyncio.create_task(write(app, throttling.take, [limit]), context=Context())
                overtaken.append(await other_request)
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "execute", look_and_be_overtaken)
            await throttling.take(session, [limit])

    await write(app, take_slowly)

    assert await read(app, used) == 2


async def test_every_way_to_write_an_address_is_counted_as_one(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    ways = [EMAIL, "ADA@example.com", "ada@EXAMPLE.COM", " ada@example.com", "ada@example.com  ", "Ada@Example.Com"]

    assert await at_once([wrong(client, email=way) for way in ways]) == {422: 5, 429: 1}


async def test_a_right_password_uses_nothing_up_and_gives_nothing_back(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    assert await guess(client, 4) == {422: 4}
    assert [(await right(client, ip=HERE)).status_code for _ in range(12)] == [303] * 12
    client = app.test_client()  # which nobody logged in with
    assert [(await wrong(client)).status_code for _ in range(2)] == [422, 429]


async def test_after_the_period_all_is_as_before(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await create_user(app)
    await guess(client, 5)

    moved_clock.forward(timedelta(seconds=299))
    assert (await right(client)).status_code == 429
    moved_clock.forward(timedelta(seconds=1))
    assert (await right(client)).status_code == 303
    assert await guess(app.test_client(), 6) == {422: 5, 429: 1}


async def test_a_refused_try_does_not_lengthen_the_refusal(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await create_user(app)
    await guess(client, 5)

    waits = []
    for _ in range(3):
        moved_clock.forward(timedelta(seconds=100))
        waits.append((await right(client)).headers.get("Retry-After"))

    assert waits == ["200", "100", None]


@on_sqlite
async def test_a_refusal_says_when_to_come_back(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await guess(client, 5)
    moved_clock.forward(timedelta(seconds=61))

    page = await wrong(client)
    json = await wrong(client, headers={"Accept": "application/json"})

    assert page.headers["Retry-After"] == json.headers["Retry-After"] == "239"
    assert "Too many tries" in (shown := await page.get_data(as_text=True))
    assert "Try again in 4 minutes" in shown
    error = (await json.get_json())["error"]
    assert error["code"] == "too_many_requests"
    assert "Try again in 4 minutes" in error["message"]


@on_sqlite
@pytest.mark.parametrize(
    ("rate", "longest"), [("1 per 30 seconds", 30), ("1 per hour", 3600), ("1 per 2 days", 172800)]
)
async def test_whoever_waits_as_long_as_they_are_told_may_try_again(
    settings: dict[str, Any], moved_clock: MovedClock, rate: str, longest: int
) -> None:
    async with serving(settings | {"THROTTLE_WRONG_PASSWORDS_PER_ACCOUNT": rate}) as app:
        await guess(app.test_client(), 1)
        answer = await wrong(app.test_client())
        assert answer.headers["Retry-After"] == str(longest)
        assert re.search(r"Try again in .*\d+ (second|minute|hour|day)", await answer.get_data(as_text=True))
        moved_clock.forward(timedelta(seconds=longest))
        assert await guess(app.test_client(), 1) == {422: 1}


@on_sqlite
async def test_a_refusal_does_not_tell_whether_there_is_an_account(app: Quart, moved_clock: MovedClock) -> None:
    await create_user(app)
    await create_user(app, "off@example.com", active=False)

    told = []
    for email in (EMAIL, "off@example.com", "who@example.com"):
        assert await guess(app.test_client(), 5, email=email) == {422: 5}
        answer = await right(app.test_client(), email=email)
        shown = re.sub(r"<code>\w+</code>", "", await answer.get_data(as_text=True))
        headers = [pair for pair in answer.headers.items() if pair[0].lower() not in ("x-request-id", "date")]
        told.append((answer.status_code, shown, headers))

    assert told[0][0] == 429
    assert told[0] == told[1] == told[2]


@on_sqlite
async def test_a_refusal_is_logged_without_saying_who(
    client: TestClientProtocol, log: pytest.LogCaptureFixture
) -> None:
    await guess(client, 6, ip=HERE)

    (line,) = [line for line in log.text.splitlines() if "throttled" in line]
    assert "what=wrong_passwords_per_account" in line
    assert HERE not in log.text
    assert EMAIL not in log.text


# Whoever comes from one address


async def test_an_address_has_ten_wrong_passwords_a_minute(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    assert await guess_at_others(client, 15, ip=HERE) == {422: 10, 429: 5}
    assert await guess_at_others(client, 1) == {422: 1}

    moved_clock.forward(timedelta(minutes=1))
    assert await guess_at_others(client, 1, ip=HERE) == {422: 1}


# What these count is tested where it is counted: test_recoveries.py, test_accounts.py.
OF_AN_ACCOUNT = {"THROTTLE_MAILS_PER_ACCOUNT", "THROTTLE_PHONES_PER_ACCOUNT"}


@on_sqlite
async def test_an_address_has_thirty_log_ins_a_minute(app: Quart, client: TestClientProtocol) -> None:
    await create_user(app)

    assert [(await right(client, ip=HERE)).status_code for _ in range(32)] == [303] * 30 + [429] * 2
    assert (await right(client)).status_code == 303


async def test_an_address_has_twenty_sign_ups_a_minute(app: Quart) -> None:
    tries = [register(app.test_client(), email=next(OTHERS)) for _ in range(22)]

    assert await at_once(tries) == {303: 20, 429: 2}
    assert (await log_in(app.test_client())).status_code == 422


@on_sqlite
@pytest.mark.parametrize("name", [name for name in THROTTLED if name not in OF_AN_ACCOUNT])
async def test_every_limit_has_a_setting(settings: dict[str, Any], name: str) -> None:
    async with serving(settings | UNTHROTTLED | {name: "2 per 10 minutes"}) as app:
        await create_user(app)
        ask = register if "SIGN_UPS" in name else right if "LOG_INS" in name else reset if "MAILS" in name else wrong
        more = {"email": EMAIL} if ask is register else {"ip": HERE}
        answers = [await ask(app.test_client(), **more) for _ in range(3)]

    assert [answer.status_code == 429 for answer in answers] == [False, False, True]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 600


NONSENSE = ["", "5", "often", "0 per minute", "5 per 0 minutes", "-1 per minute", "5/minute", "5 per year", "٥ per day"]


@pytest.mark.parametrize("name", THROTTLED)
@pytest.mark.parametrize("rate", [*NONSENSE, "5 per minute\n5 per hour", "1.5 per day", "9" * 10 + " per day", 5, None])
def test_nonsense_stops_the_start(name: str, rate: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} .*; it has to be like '.* per .*'$"):
        create_app({"SECRET_KEY": SECRET_KEY, name: rate})


@on_sqlite
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:DB8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.1:4711", True),
        ("[2001:db8::1]:4711", "2001:db8::2", True),
    ],
)
async def test_ipv6_counts_by_the_64_and_ipv4_by_the_address(
    settings: dict[str, Any], one: str, other: str, *, same: bool
) -> None:
    async with serving(settings | {"THROTTLE_WRONG_PASSWORDS_PER_ADDRESS": "1 per minute"}) as app:
        assert await guess_at_others(app.test_client(), 1, ip=one) == {422: 1}
        assert await guess_at_others(app.test_client(), 1, ip=other) == {429 if same else 422: 1}


@on_sqlite
@pytest.mark.parametrize(
    ("proxies", "forwarded", "refused"),
    [(0, "203.0.113.{}", True), (1, "203.0.113.{}, 198.51.100.1", True), (1, "198.51.100.1, 203.0.113.{}", False)],
)
async def test_only_our_own_proxy_says_where_somebody_comes_from(
    settings: dict[str, Any], proxies: int, forwarded: str, *, refused: bool
) -> None:
    async with serving(settings | {"TRUSTED_PROXIES": proxies}) as app:
        told = [{"X-Forwarded-For": forwarded.format(n), "Forwarded": f"for=203.0.113.{n}"} for n in range(11)]
        tries = [wrong(app.test_client(), email=next(OTHERS), ip=HERE, headers=headers) for headers in told]

        assert await at_once(tries) == ({422: 10, 429: 1} if refused else {422: 11})


# Browsers in which somebody logged in before


async def known_browser(app: Quart, *, ip: str = HERE) -> TestClientProtocol:
    """Return a browser in which the owner of the account logged in, and out again."""
    client = app.test_client()
    assert (await right(client, ip=ip)).status_code == 303
    await client.post("/logout")
    return client


def device_of(client: TestClientProtocol) -> str:
    return next(cookie.value or "" for cookie in client.cookie_jar or () if cookie.name == "device")


def browser_with(app: Quart, device: str) -> TestClientProtocol:
    client = app.test_client()
    client.set_cookie("localhost", "device", device)
    return client


async def test_strangers_who_guess_do_not_lock_the_owner_out_of_a_known_browser(app: Quart) -> None:
    await create_user(app)
    browser, stranger = await known_browser(app), app.test_client()

    assert await guess(stranger, 20, ip=HERE) == {422: 5, 429: 15}
    assert await guess_at_others(stranger, 20, ip=HERE) == {422: 5, 429: 15}
    assert (await right(stranger, ip=HERE)).status_code == 429
    assert await guess(browser, 4, ip=HERE) == {422: 4}
    assert (await right(browser, ip=HERE)).status_code == 303


@on_sqlite
async def test_signing_up_makes_a_browser_known_too(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    await guess(app.test_client(), 5)

    assert (await right(client)).status_code == 303


async def test_a_thief_with_a_device_cookie_has_five_guesses_and_no_more(app: Quart) -> None:
    await create_user(app)
    device = device_of(await known_browser(app))

    for doubled in (device, f"{device}~{device}", f"x~{device}", device):
        assert set(await guess(browser_with(app, doubled), 2)) <= {422, 429}
    assert await guess(browser_with(app, device), 3) == {429: 3}
    assert await guess(browser_with(app, device), 3, email="ADA@example.com") == {429: 3}


@on_sqlite
async def test_a_thief_with_a_device_cookie_is_not_let_in_by_it(app: Quart) -> None:
    await create_user(app)
    thief = browser_with(app, device_of(await known_browser(app)))

    assert not await is_logged_in(thief)
    assert (await thief.get("/change")).location == "/login?next=/change"
    assert await guess(thief, 8) == {422: 5, 429: 3}
    assert not await is_logged_in(thief)


@on_sqlite
async def test_a_device_cookie_that_is_not_of_this_account_helps_nobody(app: Quart) -> None:
    await create_user(app)
    await create_user(app, "eve@example.com")
    name, _, signature = device_of(await known_browser(app)).partition(".")
    await right(eve := app.test_client(), email="eve@example.com")
    foreign = device_of(eve)
    await guess(app.test_client(), 5)

    cut = ["", "~", ".", name, f"{name}.", f".{signature}", f"{name}.{signature[:-1]}", "a" * 3000]
    mixed = [f"{name}x.{signature}", f"{name}.{foreign.partition('.')[2]}", "x~" * 5 + f"{name}.{signature}"]
    for device in (foreign, *cut, *mixed):
        assert (await right(browser_with(app, device))).status_code == 429


@on_sqlite
async def test_a_device_cookie_holds_under_a_former_key_and_under_no_foreign_one(settings: dict[str, Any]) -> None:
    async with serving(settings) as app:
        await create_user(app)
        device = device_of(await known_browser(app))
        await guess(app.test_client(), 5)
    settings["SECRET_KEY"] = SECRET_KEY[::-1]
    for fallbacks, status in (((), 429), ((SECRET_KEY,), 303)):
        async with serving(settings | {"SECRET_KEY_FALLBACKS": fallbacks}) as app:
            assert (await right(browser_with(app, device))).status_code == status


@on_sqlite
async def test_a_browser_is_known_to_the_last_five_accounts(app: Quart, client: TestClientProtocol) -> None:
    people = [await create_user(app, next(OTHERS)) for _ in range(6)]
    for person in people:
        assert (await right(client, email=person.email)).status_code == 303
    for person in people[:2]:
        await guess(app.test_client(), 5, email=person.email)

    assert [(await right(client, email=person.email)).status_code for person in people] == [429] + [303] * 5


@on_sqlite
async def test_a_device_cookie_names_nobody_and_is_out_of_reach_of_scripts(
    app: Quart, client: TestClientProtocol
) -> None:
    await create_user(app)

    (cookie,) = [line for line in (await right(client)).headers.getlist("Set-Cookie") if line.startswith("device=")]
    assert re.fullmatch(r"device=[\w-]{16}\.[\w-]{43}; .*Max-Age=15552000; HttpOnly; Path=/; SameSite=Lax", cookie)
    assert "Set-Cookie" not in (await wrong(app.test_client())).headers


# Changing a password


async def test_who_is_logged_in_has_five_wrong_passwords_too(app: Quart, client: TestClientProtocol) -> None:
    await register(client)
    tries = [change_password(client, password="wrong horse") for _ in range(8)]

    assert await at_once(tries) == {422: 5, 429: 3}
    assert (await change_password(client)).status_code == 429
    other = app.test_client()
    await register(other, email="eve@example.com")
    assert (await change_password(other)).status_code == 303


@on_sqlite
async def test_strangers_who_guess_at_the_log_in_do_not_keep_the_owner_from_changing_the_password(
    app: Quart, client: TestClientProtocol
) -> None:
    await register(client)

    assert await guess(app.test_client(), 6) == {422: 5, 429: 1}
    assert [(await change_password(client, password=old)).status_code for old in ("wrong horse", PASSWORD)] == [
        422,
        303,
    ]


# Sweeping


async def left(app: Quart, what: type[Throttle | UserSession]) -> int:
    async with app.app_context():
        return await db.read(lambda session: session.scalar(select(func.count()).select_from(what))) or 0


async def sweep(app: Quart) -> None:
    async with app.app_context():
        await sweeper.sweep_all()


def throttles(number: int, *, expires_in: int) -> Any:
    resets_on = clock.now() + timedelta(seconds=expires_in)
    rows = [{"key": f"{expires_in}-{row}", "used": 1, "resets_on": resets_on} for row in range(number)]
    return insert(Throttle).values(rows)


def log_ins(user_id: int, number: int, *, expires_in: int) -> Any:
    row = {"user_id": user_id, "expires_on": clock.now() + timedelta(seconds=expires_in), "ip": "", "user_agent": ""}
    return insert(UserSession).values([row | {"digest": f"{expires_in}-{digest}"} for digest in range(number)])


async def test_what_has_expired_is_swept_however_much_it_is_and_nothing_else(app: Quart) -> None:
    user = await create_user(app)
    for expires_in, number in ((0, 2100), (60, 7)):
        await execute(app, throttles(number, expires_in=expires_in))
        await execute(app, log_ins(user.id, number, expires_in=expires_in))

    await sweep(app)

    assert (await left(app, Throttle), await left(app, UserSession)) == (7, 7)


async def test_sweeping_gives_nobody_another_try(
    app: Quart, client: TestClientProtocol, moved_clock: MovedClock
) -> None:
    await guess(client, 5)
    moved_clock.forward(timedelta(minutes=5))

    sweeps = [sweep(app) for _ in range(5)]
    answers, *_ = await asyncio.gather(guess(client, 20), *sweeps)

    assert answers == {422: 5, 429: 15}


@on_sqlite
async def test_a_process_sweeps_by_itself_also_after_it_could_not(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweeper, "MINUTES", 0.05 / 60)
    async with serving(settings) as app:
        await execute(app, text("ALTER TABLE throttle RENAME TO away"))
        await asyncio.sleep(0.5)
        assert "sweep_failed" in log.text
        await execute(app, text("ALTER TABLE away RENAME TO throttle"))
        await execute(app, throttles(3, expires_in=0))
        await asyncio.sleep(0.5)
        assert await left(app, Throttle) == 0
