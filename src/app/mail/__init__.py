"""E-mail: its content, and the worker that delivers the outbox."""
