"""`quart --app run new note title:str body:text due:date?`: generate a noun, from the model to the tests."""

import asyncio
from contextlib import suppress
from pathlib import Path

import click
from quart import Quart
from quart.cli import ScriptInfo, pass_script_info

from app.cli.generator import catalogs, edits, files, lines, names, nouns, records
from app.lib.db import DatabaseUnavailable, db, schema
from app.lib.settings.loader import ROOT

EXPECTED_ERRORS = (nouns.WrongArguments, lines.Unexpected, DatabaseUnavailable, OSError)


@click.command()
@click.argument("noun")
@click.argument("fields", nargs=-1)
@click.option("--plural", help="The plural, if it is irregular.")
@click.option("--undo", is_flag=True, help="Remove the generated code.")
@click.option("--force", is_flag=True, help="With --undo: also remove files that you have changed.")
@pass_script_info
def new(info: ScriptInfo, noun: str, fields: tuple[str, ...], plural: str | None, *, undo: bool, force: bool) -> None:
    """Generate model, service, form, views, templates, tests and migration of a NOUN that belongs to a user.

    A field is NAME:TYPE, and NAME:TYPE? if it is optional. Types: str, text, int, bool, date, datetime, decimal.
    """
    app = info.load_app()
    try:
        if undo:
            remove(app, ROOT, records.find(ROOT, noun), is_forced=force)
        else:
            write(app, ROOT, nouns.parse(noun, list(fields), plural))
    except EXPECTED_ERRORS as error:
        raise click.ClickException(" ".join(str(error).split())) from error


def write(app: Quart, root: Path, noun: nouns.Noun) -> None:
    """Write a noun. Raises WrongArguments and Unexpected before anything is written."""
    contents = files.rendered(noun, records.next_revision(root))
    if existing := [path for path in contents if (root / path).exists()]:
        raise nouns.WrongArguments(f"{existing[0]} exists already")
    names.check(app, root, noun)
    changed = edits.added(root, noun)
    save(root, contents | changed)
    untranslated = catalogs.add_messages()

    report("Wrote", contents)
    report("Changed", changed)
    for path, number in untranslated.items():
        click.echo(f"Changed {path.relative_to(root)}: {number} texts to translate, under {catalogs.NOT_TRANSLATED!r}")
    click.echo("Next: read the migration, then run `.venv/bin/alembic upgrade head` and `make check`.")


def remove(app: Quart, root: Path, record: records.Record, *, is_forced: bool) -> None:
    """Remove a noun. Raises WrongArguments and Unexpected before anything is removed."""
    noun, revision = record
    contents = files.rendered(noun, revision)
    check_migration(app, root, record)
    changed = [path for path, text in contents.items() if not is_unchanged(root / path, text)]
    if changed and not is_forced:
        raise nouns.WrongArguments(f"changed since they were written, --force removes them: {', '.join(changed)}")

    restored = edits.removed(root, noun, is_forced=is_forced)
    save(root, restored)
    for path in contents:
        (root / path).unlink(missing_ok=True)
    with suppress(OSError):  # it is not empty
        (root / f"src/app/templates/{noun.plural}").rmdir()
    catalogs.remove_messages()
    report("Removed", contents)
    report("Changed", restored)


def check_migration(app: Quart, root: Path, record: records.Record) -> None:
    """Raise WrongArguments if a later migration follows, or if the database of the settings has the table."""
    noun, revision = record
    if later := records.following(root, revision):
        raise nouns.WrongArguments(f"a later migration follows that of {noun.name}: {', '.join(later)}")
    if asyncio.run(current_revision(app)) == revision.id:
        raise nouns.WrongArguments(f"the database has the table: run `.venv/bin/alembic downgrade {revision.follows}`")


async def current_revision(app: Quart) -> str | None:
    """Return the revision that the database of the settings is at. Raises DatabaseUnavailable."""
    async with app.app_context():
        try:
            return await db.read(schema.current_revision)
        finally:
            await db.dispose()


def is_unchanged(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def save(root: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def report(what: str, paths: dict[str, str]) -> None:
    for path in paths:
        click.echo(f"{what} {path}")
