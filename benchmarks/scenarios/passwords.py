"""What costs a hash, against the hash alone on the same core, and against the peer."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

import sites
from accounts import PASSWORD, log_ins_of, register, register_people
from measuring import Bench, Row
from password_changes import changes_per_second
from sites import HERE, Site
from wrk import SERVER_CORE, Ask, Load, put_load_on

CLIENTS = 8


def log_ins(bench: Bench) -> Iterator[Row]:
    """Log-ins: one password is verified."""
    with us_and_them(bench, "log_ins") as (us, them):
        loads = {site: log_in_load(site, seconds=bench.seconds) for site in (us, them)}

        def log_in(site: Site) -> float:
            return put_load_on(site.url, loads[site]).per_second

        yield from rows(bench, "log-ins", us, them, log_in, hashing=("verify",))


def registrations(bench: Bench) -> Iterator[Row]:
    """Registrations: one password is hashed."""
    form = {"email": "new-#@example.com", "password": PASSWORD, "password_confirm": PASSWORD}
    load = Load(CLIENTS, bench.seconds, asks=(Ask("/register", form=form),))

    def sign_up(site: Site) -> float:
        return put_load_on(site.url, load).per_second

    with us_and_them(bench, "registrations") as (us, them):
        yield from rows(bench, "registrations", us, them, sign_up, hashing=("hash",))


def password_changes(bench: Bench) -> Iterator[Row]:
    """Changes of the password: one is verified, and another one hashed."""
    numbers = count()

    def change(site: Site) -> float:
        people = [register(site, f"changing{next(numbers)}@example.com") for _ in range(CLIENTS)]
        return changes_per_second(site.url, people, PASSWORD, seconds=bench.seconds)

    with us_and_them(bench, "password_changes") as (us, them):
        yield from rows(bench, "changes of the password", us, them, change, hashing=("verify", "hash"))


def log_in_load(site: Site, *, seconds: float) -> Load:
    """Return the load of people who log in again and again."""
    return Load(CLIENTS, seconds, asks=log_ins_of(site, register_people(site)))


@contextmanager
def us_and_them(bench: Bench, name: str) -> Iterator[tuple[Site, Site]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(sites.ours(bench.url(name), bench.folder / name)),
            stack.enter_context(sites.peer(bench.peer_url(f"{name}_peer"), bench.folder / f"{name}-peer")),
        )


def rows(
    bench: Bench, what: str, us: Site, them: Site, measure: Callable[[Site], float], *, hashing: tuple[str, ...]
) -> Iterator[Row]:
    alone = bench.in_turn(lambda: measure(us), lambda: argon2_alone(bench.seconds, *hashing))
    yield Row(what, "argon2 alone", 0.9, alone)
    yield Row(what, them.name, 1.0, bench.in_turn(lambda: measure(us), lambda: measure(them)))


def argon2_alone(seconds: float, *steps: str) -> float:
    command = ["taskset", "-c", SERVER_CORE, sys.executable, str(HERE / "argon2_alone.py"), str(seconds), "2", *steps]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
