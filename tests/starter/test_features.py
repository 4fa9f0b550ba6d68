"""Every feature can be switched off, and deleted from a copy, without a change to the remaining code."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import features
from app.cli import remove_feature
from support.app import ROOT, copy_tree, migrate, serving

ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", ""), "PYTHONPATH": "src"}


def run(copy: Path, *arguments: str) -> None:
    """Run a Python module in the copy, and show its output if it fails."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=copy, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-9000:] + done.stderr


# The tests that a deletion could break. test_removals.py deletes all features, and runs the whole tier.
AFFECTED = ["architecture", "config", "deletion", "enumeration", "purge", "start", "translations", "verifications"]
AFFECTED = [*(f"tests/test_{name}.py" for name in AFFECTED), "tests/starter/test_docs.py", "src/app/features"]


@pytest.mark.long
@pytest.mark.parametrize("name", features.NAMES)
def test_a_feature_is_deleted_and_everything_left_works(name: str, tmp_path: Path) -> None:
    copy = copy_tree(tmp_path / "copy")
    run(copy, "app.cli.remove_feature", name)

    assert [path for path in copy.rglob(f"*{name}*") if path.is_file()] == []
    for page in ("glossary", "explanation/features"):
        rows = [line for line in (copy / f"docs/{page}.md").read_text().splitlines() if line.startswith("|")]
        assert [row for row in rows if name in row] == []
    for arguments in (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)):
        run(copy, *arguments)
    for arguments in (("upgrade", "head"), ("check",), ("downgrade", "3a542da63280"), ("upgrade", "head")):
        migrate("sqlite:///app.db", *arguments, instance=tmp_path, root=copy).check_returncode()
    run(copy, "pytest", "--tier", "check", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", *AFFECTED)


def test_a_feature_without_tables_leaves_a_migration_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("src/app/features/gadgets/__init__.py", "alembic/versions/0123456789ab_gadgets.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    for path in ("src/app/default_config.py", "pyproject.toml", "README.md"):
        (tmp_path / path).touch()

    monkeypatch.setattr(subprocess, "run", lambda *_, **__: None)  # the commands for the catalogs
    remove_feature.main(tmp_path, "gadgets")

    assert not (tmp_path / "src/app/features/gadgets").exists()
    assert (tmp_path / "alembic/versions/0123456789ab_gadgets.py").exists()


@pytest.mark.programs
@pytest.mark.parametrize("name", [name for name in features.NAMES if remove_feature.migrations_of(ROOT, name)])
def test_a_feature_is_not_deleted_while_a_database_may_have_its_tables(
    name: str, instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUART_INSTANCE_PATH", str(tmp_path / "empty"))
    remove_feature.check_database(ROOT, name)

    monkeypatch.setenv("QUART_INSTANCE_PATH", str(instance))
    with pytest.raises(SystemExit, match=f"the tables of {name}: run `.venv/bin/alembic downgrade"):
        remove_feature.check_database(ROOT, name)

    monkeypatch.setenv("QUART_SQLALCHEMY_DATABASE_URI", "mysql://nouser@127.0.0.1:1/nowhere")
    with pytest.raises(SystemExit, match=f"Cannot find out whether the database has the tables of {name}"):
        remove_feature.check_database(ROOT, name)


@pytest.mark.programs
def test_an_unknown_feature_is_named_and_nothing_deleted() -> None:
    for name in ("nothing", "", "../features"):
        command = [sys.executable, "-m", "app.cli.remove_feature", name]
        done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"There is no feature {name!r}. Features: ")


async def test_a_feature_that_is_switched_off_has_no_routes_and_no_links(settings: dict[str, Any]) -> None:
    async with serving(settings) as on, serving(settings | {"FEATURES": ()}) as off:
        added = {rule.rule for rule in on.url_map.iter_rules()} - {rule.rule for rule in off.url_map.iter_rules()}
        paths = [rule for rule in added if "<" not in rule]
        assert bool(paths) == bool(features.NAMES)

        client = off.test_client()
        await client.post(
            "/register", form={"email": "a@example.com", "password": "x" * 9, "password_confirm": "x" * 9}
        )
        for path in paths:
            assert (await client.get(path)).status_code == 404
        for page in ("/login", "/account", "/verify", "/"):
            text = await (await client.get(page)).get_data(as_text=True)
            assert not [path for path in paths if f'"{path}"' in text]
