"""The kinds of settings: what each accepts, and what to write instead of a value that it refuses."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from app.lib.logs import FORMATS
from app.lib.settings import readers
from app.lib.settings.base_url import BaseUrl
from app.lib.settings.mail import read_mail_server, read_sender


class Kind(NamedTuple):
    """`read` returns the value of a setting, or raises. `advice` completes the sentence "Write …"."""

    read: Callable[[Any], Any]
    advice: str


def number(least: int, most: int) -> Kind:
    return Kind(readers.within(lambda value: int(str(value)), least, most), f"a whole number from {least} to {most}")


def duration(least: timedelta, most: timedelta) -> Kind:
    bounds = f"from {least.total_seconds():.0f} to {most.total_seconds():.0f}"
    return Kind(readers.within(readers.read_duration, least, most), f"a number of seconds {bounds}, or a timedelta")


BOOLEAN = Kind(lambda value: readers.BOOLEANS[str(value).strip().lower()], "True or False; in the environment 1 or 0")
NUMBER = Kind(lambda value: int(str(value)), "a whole number")
TEXT = Kind(readers.read_text, "text in quotes")
OPTIONAL_TEXT = Kind(readers.read_optional_text, "text in quotes, or None")
KEY = Kind(readers.read_key, "text or bytes, such as the output of `openssl rand -hex 32`")
KEYS = Kind(readers.read_keys, "a list of texts or bytes; in the environment keys separated by commas or line breaks")
SALT = Kind(readers.read_salt, "the SECURITY_PASSWORD_SALT of the Flask-Security installation, text or bytes")
WORDS = Kind(readers.read_words, "a tuple of texts; in the environment words separated by commas")
HOSTS = Kind(readers.read_several(readers.read_host), "hosts like www.example.com or www.example.com:8443")
DURATION = Kind(readers.read_duration, "a number of seconds, or a timedelta")
DICT = Kind(readers.read_dict, 'a dict; in the environment JSON like {"pool_size": 5}')
BIND = Kind(readers.read_bind, "an IP address or a host with a port, like 127.0.0.1:5000, or unix:PATH, or fd://NUMBER")
URL = Kind(
    lambda value: str(BaseUrl.parse(readers.read_text(value))), "a URL without a path, like https://www.example.com"
)
SERVER = Kind(readers.read_server, "a host like db.example.com or db.example.com:3307, or the path of a Unix socket")
MAIL_SERVER = Kind(read_mail_server, "a host like smtp.example.com; the port is MAIL_PORT")
FORMAT = Kind(readers.read_format, f"one of {', '.join(FORMATS)}")
RATE = Kind(readers.read_rate, "a rate like '5 per 5 minutes'")
LANGUAGES = Kind(readers.read_languages, "languages with a compiled catalog, like en,de")
SENDER = Kind(read_sender, "an e-mail address, 'Example <site@example.com>', or a tuple of a name and an address")
