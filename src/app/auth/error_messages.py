"""The texts of error pages: what happened, and what to do next."""

from app.lib.i18n.catalogs import noop as _

Message = tuple[str, str]

MESSAGES: dict[int, Message] = {
    400: (_("Bad request"), _("The URL or the form is not valid. Go back and try again.")),
    401: (_("Login required"), _("Log in to see this page.")),
    403: (
        _("Access denied"),
        _("Your account has no access, or the request did not come from our pages. Open the page and try again."),
    ),
    404: (_("Page not found"), _("Check the URL, or start from the front page.")),
    405: (_("Method not allowed"), _("This URL does not accept this kind of request. Start from the front page.")),
    408: (_("Request timed out"), _("Your request did not arrive in time. Try again.")),
    413: (_("Too large"), _("Your input is larger than allowed. Go back and send less.")),
    414: (_("URL too long"), _("Start from the front page.")),
    422: (_("Invalid input"), _("Go back and check what you entered.")),
    429: (_("Too many attempts"), _("Try again in %(wait)s.")),
    500: (_("Something went wrong"), _("We have recorded the error. Try again later.")),
    503: (_("Service unavailable"), _("The site is busy or under maintenance. Try again in %(wait)s.")),
}
TOO_LARGE: Message = (_("Too large"), _("You can send up to %(limit)s here. Go back and send less."))
INVALID_TOKEN: Message = (
    _("This link does not work"),
    _("It has expired, was already used, or was replaced by a newer one. If you still need it, request another one."),
)
SESSION_EXPIRED = _("Your session has expired. Log in again.")
SESSION_EXPIRED_INPUT_PRESERVED = _("Your session has expired. Log in again to continue. Your input was kept.")


def message_for(status: int) -> Message:
    """Return the text of a status, or that of 400 or 500 for others."""
    return MESSAGES.get(status, MESSAGES[500 if status >= 500 else 400])
