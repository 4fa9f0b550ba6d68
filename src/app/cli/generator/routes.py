"""The section of docs/reference/routes.md about the routes of a noun."""

from app.cli.generator.lines import Unexpected, without
from app.cli.generator.nouns import Noun

END = "## Programs\n"


def add(text: str, noun: Noun) -> str:
    head, found, tail = text.partition(END)
    if not found:
        raise Unexpected(f"has no section {END.strip()}")
    return f"{head}{section(noun)}{found}{tail}"


def remove(text: str, noun: Noun) -> str:
    return without(text, section(noun))


def section(noun: Noun) -> str:
    """Return a section of the reference."""
    fields = ", ".join([*(f"`{field.name}`" for field in noun.fields), "`owner`"])
    url, row = noun.url, f"{noun.url}/<int:{noun.name}_id>"
    rows = (
        ("GET", url, "", f"The {noun.plural_words} of the user, 100 on each page: `?page=2` has the older ones."),
        ("GET", f"{url}/new", "", f"The form for a new {noun.words}."),
        ("POST", f"{url}/new", fields, f"Adds a new {noun.words}."),
        ("GET", row, "", f"The form that changes one of the {noun.plural_words}."),
        ("POST", row, fields, f"Changes one of the {noun.plural_words}."),
        ("POST", f"{row}/delete", "`owner`", f"Deletes one of the {noun.plural_words}."),
    )
    lines = [
        " | ".join([f"| {method}", f"`{path}`", "login", typed, f"{what} |"]) for method, path, typed, what in rows
    ]
    lines = [line.replace("|  |", "| |") for line in lines]
    head = "| methods | route | access | form fields | what it does |\n|---|---|---|---|---|"
    return "\n".join([f"## {noun.label}\n", head, *lines, "", ""])
