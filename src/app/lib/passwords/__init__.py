"""Passwords: the hashes, the threads that compute them, and the policy for new passwords."""
