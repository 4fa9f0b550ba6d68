"""What costs a hash, against the hash alone on the same core, and against the peer."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import sites
from accounts import PASSWORD, log_ins_of, register, register_people
from measuring import Bench, Row
from password_changes import changes_per_second
from sites import HERE, Site
from wrk import SERVER_CORE, Ask, Load, put_load_on

CLIENTS = 8
SIGN_UP = Ask("/register", form={"email": "new-#@example.com", "password": PASSWORD, "password_confirm": PASSWORD})


def passwords(bench: Bench) -> Iterator[Row]:
    """Log-ins verify one password, registrations hash one, and changes of the password do both."""
    with ExitStack() as stack:
        us = stack.enter_context(sites.ours(bench.url("passwords"), bench.folder / "passwords"))
        them = stack.enter_context(sites.peer(bench.peer_url("passwords_peer"), bench.folder / "passwords-peer"))
        loads = {site: log_in_load(site, seconds=bench.seconds) for site in (us, them)}
        numbers = count()

        def log_in(site: Site) -> float:
            return put_load_on(site.url, loads[site]).per_second

        def sign_up(site: Site) -> float:
            return put_load_on(site.url, Load(CLIENTS, bench.seconds, asks=(SIGN_UP,))).per_second

        def change(site: Site) -> float:
            people = [register(site, f"changing{next(numbers)}@example.com") for _ in range(CLIENTS)]
            return changes_per_second(site.url, people, PASSWORD, seconds=bench.seconds)

        yield from rows(bench, "log-ins", us, them, log_in, hashing=("verify",))
        yield from rows(bench, "registrations", us, them, sign_up, hashing=("hash",))
        yield from rows(bench, "changes of the password", us, them, change, hashing=("verify", "hash"))


def log_in_load(site: Site, *, seconds: float) -> Load:
    """Return the load of people who log in again and again."""
    return Load(CLIENTS, seconds, asks=log_ins_of(site, register_people(site)))


def rows(
    bench: Bench, what: str, us: Site, them: Site, measure: Callable[[Site], float], *, hashing: tuple[str, ...]
) -> Iterator[Row]:
    alone = bench.in_turn(lambda: measure(us), lambda: argon2_alone(bench.seconds, *hashing))
    yield Row(what, "argon2 alone", 0.9, alone)
    yield Row(what, them.name, 1.0, bench.in_turn(lambda: measure(us), lambda: measure(them)))


def argon2_alone(seconds: float, *steps: str) -> float:
    command = ["taskset", "-c", SERVER_CORE, sys.executable, str(HERE / "argon2_alone.py"), str(seconds), "2", *steps]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
