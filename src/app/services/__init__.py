"""The rules: plain async functions that take a session or call `db`. They know nothing of HTTP.

A service function enforces its own rules: the password policy, the rate limits and the audit record. What it refuses
is a ServiceError with a text for the user.
"""
