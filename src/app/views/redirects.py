"""Where a form may send the browser next."""

import re

# A path on this site, in the characters of a URL. Neither //host nor /\host, which browsers take for another site.
PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1999}", re.ASCII)


def safe_path(target: str | None) -> str:
    """Return the path that was asked for, or the front page for anything that is none."""
    return target if target and PATH.fullmatch(target) else "/"
