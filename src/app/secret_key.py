"""The key that signs the cookies: kept for a developer, demanded from a deployment."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

MIN_LENGTH = 32
# Keys that stand in the documentation of Flask, Quart and Flask-Security, for everyone to forge with.
PUBLISHED = {
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "5f352379324c22463451387a0aec5d2f",
    "pf9Wkove4IKEAXvy-cQkeDPhv9Cb3Ag-wyJILbq_dFw",
}


def check_secret_key(name: str, key: str) -> None:
    """Raise ValueError for a key that can be guessed."""
    advice = "make one with `openssl rand -hex 32`"
    if not key:
        raise ValueError(f"{name} is empty: {advice}")
    if len(key.strip()) < MIN_LENGTH:
        raise ValueError(f"{name} is shorter than {MIN_LENGTH} characters: {advice}")
    if key in PUBLISHED:
        raise ValueError(f"{name} stands in a published example: {advice}")


def kept_secret_key(folder: Path) -> str:
    """Return the key in `folder/secret_key`, made at the first start. Of processes that race, the first wins."""
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
