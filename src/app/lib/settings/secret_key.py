"""SECRET_KEY, which signs the cookies: generated for a developer, required for a public site."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

MIN_LENGTH = 32
MIN_DISTINCT = 8  # characters; 32 random hexadecimal digits have fewer once in thirty million times
# Keys from the documentation of Flask, Quart and Flask-Security: every attacker knows them.
PUBLISHED = {
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "5f352379324c22463451387a0aec5d2f",
    "pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw",
}


def check_secret_key(name: str, key: str) -> None:
    """Raise ValueError for a key that an attacker can guess."""
    advice = "make one with `openssl rand -hex 32`"
    if not key:
        raise ValueError(f"{name} is empty: {advice}")
    if len(key.strip()) < MIN_LENGTH:
        raise ValueError(f"{name} is shorter than {MIN_LENGTH} characters: {advice}")
    if len(set(key)) < MIN_DISTINCT:
        raise ValueError(f"{name} has fewer than {MIN_DISTINCT} different characters: {advice}")
    if key in PUBLISHED:
        raise ValueError(f"{name} is a published example: {advice}")


def load_or_create_secret_key(folder: Path) -> str:
    """Return the key in `folder/secret_key`, generated at the first start. Of simultaneous starts the first wins."""
    path = folder / "secret_key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"secret_key.{secrets.token_hex(4)}"
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()
