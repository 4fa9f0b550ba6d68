"""Lines of a text: add an import, or remove lines that were added."""


class Unexpected(ValueError):
    """A file does not contain a line, or the place where it belongs. The message names the file."""


def add_import(text: str, line: str) -> str:
    """Add an import, sorted by module as the linter requires."""
    package = line.split()[1].rpartition(".")[0]
    others = [each for each in text.splitlines(keepends=True) if each.startswith(f"from {package}.")]
    if not others:
        raise Unexpected(f"imports nothing from {package}")
    after = [each for each in others if each.split()[1] > line.split()[1]]
    if after:
        return text.replace(after[0], line + after[0], 1)
    return text.replace(others[-1], others[-1] + line, 1)


def without(text: str, lines: str) -> str:
    if lines not in text:
        raise Unexpected(f"does not contain {lines.splitlines()[0].strip()!r}")
    return text.replace(lines, "", 1)
