"""What error pages say: what happened, and what to do next."""

from app.languages import untranslated as _

Words = tuple[str, str]

WORDS: dict[int, Words] = {
    400: (
        _("We could not read that"),
        _("The web address or the form was not as our pages send it. Go back and try again."),
    ),
    401: (_("Log in first"), _("This page is for people with an account.")),
    403: (
        _("That is not allowed"),
        _("Your account may not do this, or the request did not come from our pages: then open them and try again."),
    ),
    404: (_("There is no such page"), _("Check the web address, or start from the front page.")),
    405: (
        _("That does not work here"),
        _("This web address takes another kind of request. Start from the front page."),
    ),
    408: (_("That took too long"), _("Your request did not arrive in time. Try again.")),
    413: (_("That is too much"), _("What you sent is more than we take. Send less.")),
    414: (_("That web address is too long"), _("No page of ours has one that long. Start from the front page.")),
    422: (_("We could not use that"), _("Something in it was not right. Go back and check what you entered.")),
    429: (_("Too many tries"), _("Try again in %(wait)s.")),
    500: (_("Something went wrong"), _("It is our fault and has been written down. Try again later.")),
    503: (_("We will be right back"), _("The site is busy or being looked after. Try again in %(wait)s.")),
}
INVALID_LINK: Words = (
    _("This link does not work"),
    _("It was used before, a newer one took its place, or it is too old. If you asked for it, ask again."),
)
ENDED = _("Your log-in has ended. Log in again.")
ENDED_KEPT = _("Your log-in has ended. Log in again, and what you typed is still there.")


def words_for(status: int) -> Words:
    """Return the words of a status, or of the one that stands for its kind."""
    return WORDS.get(status, WORDS[500 if status >= 500 else 400])
