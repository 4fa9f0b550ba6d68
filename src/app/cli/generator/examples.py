"""Input for the generated tests, as Python code."""

from typing import Any

from app.cli.generator.layout import fitted, quoted
from app.cli.generator.nouns import Field, Noun


def examples_of(noun: Noun) -> dict[str, Any]:
    """Return the constants of the tests."""
    typed = {field: field.kind.typed for field in noun.fields}
    emptied = {field: "" if field.is_optional else text for field, text in typed.items() if field.kind_name != "bool"}
    required = [field for field in noun.fields if not field.is_optional and field.kind_name != "bool"]
    lengths = [f"({quoted(field.name)}, {field.constant})" for field in noun.fields if field.kind.length]
    wrong = [item for field in noun.fields for item in wrong_input(field, is_required=field in required)]
    return {
        "valid": dictionary("VALID", typed),
        "emptied": dictionary("EMPTIED", emptied) if emptied != typed else "",
        "empty": dictionary("EMPTY", dict.fromkeys(required, "")),
        "wrong": fitted(wrong, "WRONG = [", "]"),
        "longest": fitted(lengths, "LONGEST = [", "]"),
        "states": states(noun),
    }


def dictionary(name: str, texts: dict[Field, str]) -> str:
    return fitted([f"{quoted(field.name)}: {quoted(text)}" for field, text in texts.items()], f"{name} = {{", "}")


def wrong_input(field: Field, *, is_required: bool) -> list[str]:
    texts = [text.format(constant=field.constant) for text in field.kind.wrong]
    return [f"({quoted(field.name)}, {text})" for text in ['""'] * is_required + texts]


def states(noun: Noun) -> list[str]:
    """Return the states of the pages, for the browser tests."""
    words, url, folder = noun.words, noun.url, noun.plural
    two = f'user(added, posted("{url}/new", **LONG), at("{url}"))'
    ways = [
        ("State", f"{noun.plural_words}, none", "index", f'user(at("{url}"))'),
        ("State", noun.plural_words, "index", two),
        ("State", f"{noun.plural_words} after a deletion", "index", f'user(added, pressed("{url}", BUTTON))'),
        ("State", f"new {words}", "new", f'user(at("{url}/new"))'),
        ("refused", f"new {words} with nothing", "new", f'user(sent("{url}/new", **EMPTY))'),
        ("State", f"{words}, opened", "edit", "user(opened)"),
        ("refused", f"{words} with nothing", "edit", 'user(opened, sent("", **EMPTY))'),
    ]
    return [
        fitted([quoted(name), quoted(f"{folder}/{template}.html"), way], f"{kind}(", "),", indent=4, is_call=True)
        for kind, name, template, way in ways
    ]
