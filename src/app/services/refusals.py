"""What a service says no with."""


class Refusal(Exception):
    """An expected no. Its text is for the person who asked."""

    message = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)


class TooLong(Refusal):
    """A text is longer than its column. SQLite would keep it, MySQL would not."""


def check_length(what: str, text: str | None, longest: int) -> None:
    """Raise TooLong."""
    if text is not None and len(text) > longest:
        raise TooLong(f"The {what} has more than {longest} characters.")
