"""Every setting, with a default that is safe to run.

Later sources override earlier ones: this file, instance/application.cfg.py, the environment (QUART_<NAME>), and
create_app(overrides). A value from the environment has the type of its default: words separated by commas for a tuple,
seconds for a timedelta.
"""

from datetime import timedelta
from typing import Any

# The folder of application.cfg.py, app.db and secret_key; instance/ if empty. Cannot be set in application.cfg.py
INSTANCE_PATH = ""

# The server
BIND = "127.0.0.1:5000"  # the bind address of run.py
WORKERS = 1  # processes; one per core in production
TEMPLATES_AUTO_RELOAD = False  # read a changed template again; always with DEBUG and LOG_FORMAT console
DEBUG = False  # show tracebacks in the browser: never in production
LOG_FORMAT = "text"  # of the log on standard error: text, json, or console for a developer

# The site
SITE_NAME = "Quart Boilerplate"  # in the titles and headers of pages
BASE_URL = "http://localhost:5000"  # the public URL; https switches on Secure cookies with __Host- names and HSTS
TRUSTED_HOSTS: tuple[str, ...] = ()  # further hosts that a Host header may name
TRUSTED_PROXIES = 0  # how many proxies in front add X-Forwarded-* headers

# The features that are switched on, of the folders in features/
FEATURES: tuple[str, ...] = ("second_factor", "passkeys", "metrics")

# The languages of the site. A browser that accepts none of them gets the first
LANGUAGES: tuple[str, ...] = ("en", "de", "fr")

# The key that signs cookies. If empty with a loopback BASE_URL, it is generated in instance/secret_key
SECRET_KEY = ""
SECRET_KEY_FALLBACKS: tuple[str, ...] = ()  # former keys that still verify, during a rotation

# The database. Without DB_NAME it is SQLite in instance/app.db
DB_NAME = ""
DB_USERNAME = ""
DB_PASSWORD = ""
DB_SERVER = "localhost"  # may include a port, or be the path of a Unix socket
SQLALCHEMY_DB_PREFIX = "mysql+aiomysql"
SQLALCHEMY_DATABASE_URI = ""  # overrides the DB_* settings
SQLALCHEMY_ENGINE_OPTIONS: dict[str, Any] = {}  # more arguments of create_async_engine, such as pool_size
DATABASE_TIMEOUT = timedelta(seconds=4)  # the deadline of a transaction; after it the response is 503

# Accounts, with the names of Flask-Security
SECURITY_REGISTERABLE = True  # /register
SECURITY_CHANGEABLE = True  # /change
SECURITY_RECOVERABLE = True  # /reset, and the links of security alerts; needs e-mail
SECURITY_CONFIRMABLE = False  # users must confirm their e-mail address before they can log in; needs e-mail
SECURITY_SEND_REGISTER_EMAIL = False  # send a welcome e-mail after registration; ignored with SECURITY_CONFIRMABLE
SECURITY_FRESHNESS = 10  # minutes for which a login counts as fresh; forms may be sent for twice as long
SECURITY_PASSWORD_LENGTH_MIN = 8
# Only to verify the password hashes of a Flask-Security installation. While such hashes are stored, a wrong password
# takes as long as the slowest of them: with bcrypt 0.7 s instead of 0.25 s
SECURITY_PASSWORD_SALT = ""

# E-mail, with the names of Flask-Mail. Without a server e-mails stay in the outbox, and /dev/mailbox shows them
MAIL_SERVER = ""
MAIL_PORT = 25
MAIL_USERNAME = ""
MAIL_PASSWORD = ""
MAIL_USE_TLS = False  # STARTTLS, as on port 587
MAIL_USE_SSL = False  # TLS from the first byte, as on port 465
MAIL_DEFAULT_SENDER = ""  # "Example <site@example.com>"
MAIL_REPLY_TO = ""  # "Support <help@example.com>"; if empty, replies go to the sender

# Rate limits, counted in the database for all processes together. A request above the limit gets 429
RATE_LIMIT_WRONG_PASSWORDS_PER_ACCOUNT = "5 per 5 minutes"
RATE_LIMIT_WRONG_PASSWORDS_PER_IP = "10 per minute"  # of an IPv4 address, or an IPv6 /64 network
RATE_LIMIT_LOGINS_PER_IP = "30 per minute"
RATE_LIMIT_REGISTRATIONS_PER_IP = "20 per minute"
RATE_LIMIT_EMAILS_PER_IP = "10 per minute"  # requests for a reset, a confirmation or another e-mail address
RATE_LIMIT_EMAILS_PER_ACCOUNT = "3 per hour"  # for each purpose; further e-mails are dropped, with the same response
# Changes of the phone number: the response reveals whether a number has an account
RATE_LIMIT_PHONE_CHANGES_PER_IP = "20 per hour"
RATE_LIMIT_PHONE_CHANGES_PER_ACCOUNT = "10 per hour"

# How long a session lasts: without a request, and at most
SESSION_IDLE = timedelta(days=1)
SESSION_LIFETIME = timedelta(days=30)
REMEMBER_IDLE = timedelta(days=30)  # with "Remember me"
REMEMBER_LIFETIME = timedelta(days=180)
