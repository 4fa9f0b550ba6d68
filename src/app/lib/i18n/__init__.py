"""Languages: catalogs of messages, the language of a request, and the format of dates."""
