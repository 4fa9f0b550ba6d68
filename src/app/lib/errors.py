"""The base class of the errors that service functions raise for wrong input."""


class ServiceError(Exception):
    """An expected error. Its text is shown to the user."""

    message = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)


class InvalidText(ServiceError):
    """A text is empty, has several lines, is padded with spaces, or is longer than its column."""


def validate_single_line(name: str, text: str, *, max_length: int) -> None:
    """Raise InvalidText. SQLite would store any text; MySQL would cut it, or find it equal to another."""
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise InvalidText(f"The {name} must be one line of text, without spaces around it.")
    if len(text) > max_length:
        raise InvalidText(f"The {name} has more than {max_length} characters.")
