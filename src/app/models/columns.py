"""Column types that mean the same on SQLite and on MySQL."""
