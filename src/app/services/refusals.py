"""What a service says no with."""


class Refusal(Exception):
    """An expected no. Its text is for the person who asked."""

    message = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)


class NotALine(Refusal):
    """A text is none, of several lines, padded with spaces, or longer than its column."""


def check_line(what: str, text: str, *, longest: int) -> None:
    """Raise NotALine. SQLite would keep any text; MySQL would cut it, refuse it, or take it for another."""
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise NotALine(f"The {what} has to be one line of text, without spaces around it.")
    if len(text) > longest:
        raise NotALine(f"The {what} has more than {longest} characters.")
