"""ASGI middleware: the checks of a request before Quart reads it."""
