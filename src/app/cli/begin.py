"""`make begin NAME="Book Shelf"`: turn a clone of the starter into a product, in one commit.

The command writes the name into the settings, the package metadata, README.md and LICENSE, and begins CHANGELOG.md. It
deletes the features and languages that were not chosen, and the tests of the starter's own guides. The remote `origin`
becomes `boilerplate`, from which updates are merged (UPGRADING.md).

The command changes nothing if an argument is wrong or the working tree has changes.
"""

import argparse
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from app.cli import remove_feature
from app.cli.remove_feature import replace
from app.default_config import LANGUAGES, SITE_NAME
from app.lib.settings.loader import ROOT

STARTER = "quart-boilerplate"  # the name in pyproject.toml until `make begin` has run
NAME = re.compile(r"[^\W_][\w .,!+-]{0,49}")  # needs no escapes in Python, TOML, HTML and Markdown
LICENSE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
SETTINGS = ("src/app/default_config.py", "docs/reference/settings.md")
GUIDE_TESTS = (
    "test_begin",
    "test_docs_pages",
    "test_glossary",
    "test_new",
    "test_removals",
)  # each changes a copy of the unchanged starter, or checks its wording


def main(arguments: Sequence[str], *, root: Path = ROOT) -> None:
    """Begin a product. Raises SystemExit if an argument is wrong or the working tree has changes."""
    options = parse(arguments, features=remove_feature.names(root))
    if f'name = "{STARTER}"' not in (root / "pyproject.toml").read_text():
        print(f"This is already {SITE_NAME}: nothing was changed. To remove more, see docs/how-to/remove-a-part.md.")  # noqa: T201 # a command
        return
    check_repository(root)
    removed = sorted(set(remove_feature.names(root)) - set(options.features))
    for feature in removed:
        remove_feature.check_database(root, feature)

    write_name(root, options.name)
    write_license(root, options.name, options.license)
    remove_languages(root, [code for code in LANGUAGES if code not in options.languages])
    for feature in removed:
        remove_feature.main(root, feature)
    for test in GUIDE_TESTS:
        (root / f"tests/starter/{test}.py").unlink(missing_ok=True)
    rename_remote(root)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", f"Begin {options.name}")
    print(f"This is {options.name} now. Run `make lock`, then `make check`.")  # noqa: T201 # a command


def parse(arguments: Sequence[str], *, features: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make begin")
    parser.add_argument("--name", default="")
    parser.add_argument("--features", type=str.split, default=features)
    parser.add_argument("--languages", type=str.split, default=list(LANGUAGES))
    parser.add_argument("--license", default="MIT")
    options = parser.parse_args(arguments)
    if not NAME.fullmatch(options.name) or options.name != options.name.strip():
        sys.exit("NAME must begin with a letter or digit, and have at most 50 letters, digits, spaces and . , ! + - _")
    if not LICENSE_ID.fullmatch(options.license):
        sys.exit("LICENSE must be an SPDX identifier, like MIT or LicenseRef-Proprietary")
    for key, chosen, known in (("FEATURES", options.features, features), ("LANGUAGES", options.languages, LANGUAGES)):
        if unknown := set(chosen) - set(known):
            sys.exit(f"{key} has unknown names: {', '.join(sorted(unknown))}. Known names: {', '.join(known)}")
    if LANGUAGES[0] not in options.languages:
        sys.exit(f"LANGUAGES must name {LANGUAGES[0]}, the language of the texts in the code")
    return options


def check_repository(root: Path) -> None:
    if git(root, "status", "--porcelain"):
        sys.exit("Commit or delete your changes first: `git status` must list none.")
    git(root, "var", "GIT_COMMITTER_IDENT")  # fails if git has no author for the commit


def write_name(root: Path, name: str) -> None:
    """Replace the name of the starter by the name of the product."""
    for file in SETTINGS:
        replace(root / file, f'"{SITE_NAME}"', f'"{name}"')
    path = root / "pyproject.toml"
    metadata = {"name": package_name(name), "version": "0.1.0", "description": f"{name}, a website with user accounts"}
    for key, value in metadata.items():
        path.write_text(re.sub(rf'^{key} = ".*"$', f'{key} = "{value}"', path.read_text(), count=1, flags=re.MULTILINE))
    for file in ("README.md", "CHANGELOG.md"):
        template = Template(Path(__file__).with_name(f"begin_{file.lower()}").read_text())
        (root / file).write_text(template.substitute(name=name))


def package_name(name: str) -> str:
    """Return the name of the package: lower-case ASCII letters and digits, in words separated by hyphens."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall("[a-z0-9]+", ascii_name)) or "site"


def write_license(root: Path, name: str, license_id: str) -> None:
    """Add the copyright holder of the product. The notice of the starter stays, as its license requires."""
    path, holder = root / "LICENSE", f"Copyright (c) {datetime.now(UTC).year} The authors of {name}\n"
    text = re.sub("^Copyright .*$", r"\g<0>, from which this was made", path.read_text(), count=1, flags=re.MULTILINE)
    if license_id == "MIT":
        text = text.replace("Copyright", f"{holder}Copyright", 1)
    else:
        text = f"{holder}SPDX-License-Identifier: {license_id}\n\nParts are under this license:\n\n{text}"
        replace(root / "pyproject.toml", 'license = "MIT"', f'license = "{license_id}"')
    path.write_text(text)


def remove_languages(root: Path, codes: list[str]) -> None:
    """Delete the catalogs of languages, and remove the languages from LANGUAGES."""
    for code in codes:
        shutil.rmtree(root / "src/app/translations" / code)
        for path in SETTINGS:
            replace(root / path, f', "{code}"', "")
    for path in SETTINGS:
        replace(root / path, f'("{LANGUAGES[0]}")', f'("{LANGUAGES[0]}",)')
    if "de" in codes:
        (root / "tests/starter/test_journeys_german.py").unlink(missing_ok=True)


def rename_remote(root: Path) -> None:
    """Rename `origin` to `boilerplate`, and fetch its tags under this name, apart from the tags of the product."""
    if "origin" in git(root, "remote").split():
        git(root, "remote", "rename", "origin", "boilerplate")
        git(root, "config", "--add", "remote.boilerplate.fetch", "+refs/tags/*:refs/tags/boilerplate/*")
        git(root, "config", "remote.boilerplate.tagOpt", "--no-tags")


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607 # git
    if done.returncode:
        sys.exit(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    if Path.cwd() != ROOT:  # the package of another folder is installed here
        sys.exit(f"This command changes {ROOT}. Run it there.")
    main(sys.argv[1:])
