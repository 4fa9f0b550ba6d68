"""The TLS options of a connection to MySQL or MariaDB."""

import ssl
from collections.abc import Mapping
from typing import Any

from app.lib.settings.readers import BOOLEANS

# The TLS options of PyMySQL and mysqlclient, in the URL or in `connect_args`; `ssl` may also be a dict of them.
TLS_FILES = ("ca", "capath", "cert", "key")
SHOWN_FILES = ("ca", "capath", "cert")  # in errors; the key may be given by mistake instead of its path
TLS_CHOICES = ("check_hostname", "verify_mode", "verify_cert", "verify_identity", "disabled", "mode")
TLS_OPTIONS = (*TLS_FILES, "password", "cipher", *TLS_CHOICES)
VERIFY_MODES = BOOLEANS | {"none": False, "optional": True, "required": True}
OPTION_NAMES = ("ssl", *(f"ssl_{option}" for option in TLS_OPTIONS))
SSL_MODES = {"disabled": None, "required": (False, False), "verify_ca": (True, False), "verify_identity": (True, True)}


def tls_context(given: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the context that the options describe, None without TLS. The certificate and the host are verified.

    `ssl_verify_cert`, `ssl_verify_identity` and `ssl_mode` switch that off. Raises ValueError.
    """
    whole = given.get("ssl")
    if isinstance(whole, ssl.SSLContext):
        return whole
    options = {name.removeprefix("ssl_"): option for name, option in given.items() if name != "ssl"}
    is_wanted = bool(options)
    if isinstance(whole, Mapping):
        options |= whole
        is_wanted = True
    elif whole is not None:
        is_wanted = boolean("ssl", whole) or is_wanted
    if not is_wanted:
        return None
    if unknown := sorted(set(options) - set(TLS_OPTIONS)):
        raise ValueError(f"the database has no TLS option {', '.join(unknown)}: use {', '.join(TLS_OPTIONS)}")
    return make_context(options)


def make_context(options: Mapping[str, Any]) -> ssl.SSLContext | None:
    mode = choice("ssl_mode", options.get("mode", "verify_identity"), SSL_MODES)
    if mode is None or boolean("ssl_disabled", options.get("disabled", False)):
        return None
    verifies, checks_host = mode
    verifies = verifies and boolean("ssl_verify_cert", options.get("verify_cert", True))
    verifies = verifies and choice("verify_mode", options.get("verify_mode", True), VERIFY_MODES)
    checks_host = checks_host and boolean("ssl_verify_identity", options.get("verify_identity", True))
    checks_host = checks_host and boolean("ssl_check_hostname", options.get("check_hostname", True))

    refuse_contents(options)
    try:
        context = ssl.create_default_context(cafile=options.get("ca"), capath=options.get("capath"))
        if "cert" in options:
            context.load_cert_chain(options["cert"], options.get("key"), options.get("password"))
    except OSError as error:
        files = ", ".join(f"ssl_{name}={options[name]}" for name in SHOWN_FILES if name in options)
        raise ValueError(f"the TLS files of the database cannot be used: {files} ({error})") from error
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # a CA that MySQL generates has no key usage
    context.check_hostname = verifies and checks_host
    if not verifies:
        context.verify_mode = ssl.CERT_NONE
    set_ciphers(context, options)
    return context


def refuse_contents(options: Mapping[str, Any]) -> None:
    """Raise ValueError for the contents of a file in place of its path. An error about the path would show the key."""
    for name in TLS_FILES:
        if any(mark in str(options.get(name, "")) for mark in ("BEGIN", "\n")):
            raise ValueError(f"ssl_{name} of the database is not a path: write the path of a file")


def set_ciphers(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    """Set the cipher suites of TLS 1.2. OpenSSL always offers those of TLS 1.3. Raises ValueError."""
    if "cipher" not in options:
        return
    try:
        context.set_ciphers(options["cipher"])
    except ssl.SSLError:
        advice = "write cipher suites of TLS 1.2 in OpenSSL's format, like ECDHE+AESGCM"
        raise ValueError(f"ssl_cipher of the database is {options['cipher']!r}: {advice}") from None


def boolean(name: str, value: Any) -> bool:
    return bool(choice(name, value, BOOLEANS))


def choice(name: str, value: Any, choices: Mapping[str, Any]) -> Any:
    try:
        return choices[str(value).lower()]
    except KeyError:
        raise ValueError(f"{name} of the database is {value!r}: write one of {', '.join(choices)}") from None
