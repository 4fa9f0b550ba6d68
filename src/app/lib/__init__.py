"""The machinery: ASGI middleware, database, languages, passwords, settings, server. It imports no other package."""
