"""Names of settings that do not exist, and the names that were probably meant."""

import difflib
from collections.abc import Iterable, Iterator

MISSPELT_RATIO = 0.85
OTHER_NAMES = {  # names in other frameworks
    "DB_HOST": "DB_SERVER",
    "DB_PORT": "DB_SERVER",
    "DB_USER": "DB_USERNAME",
    "DATABASE_URL": "SQLALCHEMY_DATABASE_URI",
    "MAIL_FROM": "MAIL_DEFAULT_SENDER",
    "MAIL_HOST": "MAIL_SERVER",
    "SERVER_URL": "BASE_URL",
}
OTHER_NAMES |= {f"QUART_{other}": f"QUART_{name}" for other, name in OTHER_NAMES.items()}
QUART_VARIABLES = {"QUART_APP", "QUART_DEBUG", "QUART_ENV_FILE", "QUART_SKIP_DOTENV", "QUART_RUN_FROM_CLI"}
ACCEPTED_NAMES = {"SQLALCHEMY_TRACK_MODIFICATIONS", "MAIL_ENABLED", "MAIL_DEV_MAILBOX", "COOKIE_PREFIX"}
ACCEPTED_NAMES |= {f"QUART_AUTH_{name}" for name in ("DURATION", "MODE", "SALT")}
ACCEPTED_NAMES |= {
    f"QUART_AUTH_COOKIE_{name}" for name in ("DOMAIN", "HTTP_ONLY", "NAME", "PATH", "SAMESITE", "SECURE")
}


def unknown(names: Iterable[str], known: Iterable[str], *, defaults: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each unknown name with the most similar known name, or with None if no name is similar.

    A name is reported if it begins like one of `defaults`, the names of the settings, or is nearly a known name.
    """
    known, prefixes = set(known), {"QUART"} | {name.split("_")[0] for name in defaults if "_" in name}
    settings = {name.removeprefix("QUART_"): name for name in known}  # with the prefix, all names would be similar
    for name in sorted(set(names) - known):
        similar = difflib.get_close_matches(name.removeprefix("QUART_"), settings, n=1)
        is_misspelt = bool(difflib.get_close_matches(name, known, n=1, cutoff=MISSPELT_RATIO))
        if name.split("_")[0] in prefixes or is_misspelt:
            yield name, OTHER_NAMES.get(name) or (settings[similar[0]] if similar else None)
