# Copy this file to application.cfg.py and change what you need. All settings: src/app/default_config.py

# MySQL or MariaDB instead of the embedded SQLite: these four lines, then `alembic upgrade head`.
# DB_NAME = "site"
# DB_USERNAME = "site"
# DB_PASSWORD = "a long random password"
# DB_SERVER = "localhost"  # or db.example.com:3307, or the path of a Unix socket

# In public: the public URL, and a key of your own from `openssl rand -hex 32`.
# BASE_URL = "https://www.example.com"
# SECRET_KEY = ""
# TRUSTED_PROXIES = 1  # the number of your own proxies

# E-mail. Without MAIL_SERVER, a public site has no features that need e-mail.
# MAIL_SERVER = "mail.example.com"
# MAIL_PORT = 587
# MAIL_USE_TLS = True
# MAIL_USERNAME = "site"
# MAIL_PASSWORD = ""
# MAIL_DEFAULT_SENDER = "Example <site@example.com>"

# Accounts from a Flask-Security installation keep their passwords with the salt that it had.
# SECURITY_PASSWORD_SALT = ""
