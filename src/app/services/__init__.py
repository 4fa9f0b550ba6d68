"""Verbs: what may happen. They take a session or call `db`, raise named refusals, and know nothing of HTTP."""
