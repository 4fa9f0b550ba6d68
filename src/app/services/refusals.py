"""What a service says no with."""


class Refusal(Exception):
    """An expected no. Its text is for the person who asked."""

    message = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)
