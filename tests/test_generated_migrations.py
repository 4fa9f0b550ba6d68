"""Migrations that Alembic generates from a developer's own models run on MariaDB as they are."""

import shutil
from pathlib import Path

import pytest

from support.app import ROOT, migrate
from support.mariadb_server import MariaDB

pytestmark = pytest.mark.programs

NOTE = """

class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    {column}: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a copy of the project whose models can be changed."""
    for name in ("alembic", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_an_indexed_foreign_key_is_renamed_and_renamed_back(mariadb: MariaDB, root: Path) -> None:
    url, models = mariadb.create_database("generated"), root / "src/app/models/user_event.py"
    code = models.read_text()

    for column in ("user_id", "author_id"):
        models.write_text(code + NOTE.format(column=column))
        for command in ("upgrade head", f"revision --autogenerate -m {column}", "upgrade head", "check"):
            done = migrate(url, *command.split(), instance=root, root=root)
            assert done.returncode == 0, done.stderr
    done = migrate(url, "downgrade", "-2", instance=root, root=root)
    assert done.returncode == 0, done.stderr
