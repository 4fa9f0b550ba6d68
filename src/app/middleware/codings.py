"""What a request says about compressed answers."""

import re

from app.middleware.asgi import Scope, headers_named

WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")  # RFC 9110, 12.4.2
LONGEST = 250  # characters; browsers send some 25
SPACE = " \t"


def takes_gzip(scope: Scope) -> bool:
    """Say whether gzip is accepted, and not less than the plain text."""
    header = ",".join(headers_named(scope, b"accept-encoding")).lower()
    if len(header) > LONGEST:
        return False
    weights: dict[str, float] = {}
    for part in header.split(","):
        coding, semicolon, parameter = part.partition(";")
        weight = weight_in(parameter.strip(SPACE)) if semicolon else 1.0
        name = coding.strip(SPACE)
        weights[name] = min(weight, weights.get(name, weight))
    wanted = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return wanted > 0 and wanted >= weights.get("identity", 0.0)


def weight_in(parameter: str) -> float:
    match = WEIGHT.fullmatch(parameter)
    return float(match[1]) if match else 0.0


def without_unsafe_range(scope: Scope) -> Scope:
    """Ask for the whole where the client may hold compressed bytes, to which no part of ours can be joined.

    They came with a weak tag. Werkzeug takes it for the strong one in If-Range, and a date there says nothing.
    """
    if all(tag.startswith('"') for tag in headers_named(scope, b"if-range")):
        return scope
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != b"range"]}
