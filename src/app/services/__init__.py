"""The rules: plain async functions that take a session or call `db`. They do not depend on HTTP.

A service function enforces its own rules: the password policy, the rate limits and the audit record. An expected
failure raises a ServiceError with a text for the user.
"""
