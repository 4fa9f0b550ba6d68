"""Every setting once, with a value that is safe to run.

Later wins: this file, instance/application.cfg.py, the environment (QUART_<NAME>), create_app(overrides).
A value from the environment keeps the type it has here: words separated by commas for a tuple, seconds for a timedelta.
"""

from datetime import timedelta
from typing import Any

# The folder of application.cfg.py, app.db and secret_key. Empty: instance/ beside src/. Not for that file to say
INSTANCE_PATH = ""

# The server
BIND = "127.0.0.1:5000"  # where run.py listens
WORKERS = 1  # processes; one per core in production
DEBUG = False  # tracebacks in the browser: never in public
LOG_FORMAT = "text"  # one line for each event on standard error: text, or json

# The site
SITE_NAME = "Quart Boilerplate"  # in the titles, the head of the pages, and the mails
BASE_URL = "http://localhost:5000"  # the public address; https switches on Secure cookies with __Host- names
TRUSTED_HOSTS: tuple[str, ...] = ()  # further hosts that may stand in a request's Host header
TRUSTED_PROXIES = 0  # how many proxies of ours stand in front and write X-Forwarded-*

# The languages that the site speaks, of those in translations/; who asks for none of them gets the first
LANGUAGES: tuple[str, ...] = ("en", "de", "fr")

# What signs the cookies. Empty on a loopback BASE_URL: one is made and kept in instance/secret_key
SECRET_KEY = ""
SECRET_KEY_FALLBACKS: tuple[str, ...] = ()  # former keys that still verify, while they are being replaced

# The database. Without DB_NAME it is SQLite in instance/app.db
DB_NAME = ""
DB_USERNAME = ""
DB_PASSWORD = ""
DB_SERVER = "localhost"  # may carry a port: db.example.com:3307
SQLALCHEMY_DB_PREFIX = "mysql+aiomysql"
SQLALCHEMY_DATABASE_URI = ""  # wins over the DB_* keys
SQLALCHEMY_ENGINE_OPTIONS: dict[str, Any] = {}  # more arguments for create_async_engine, such as pool_size
DATABASE_TIMEOUT = timedelta(seconds=4)  # a unit of work that takes longer is given up and answered with 503

# Accounts, in Flask-Security's words
SECURITY_REGISTERABLE = True  # /register
SECURITY_CHANGEABLE = True  # /change
SECURITY_RECOVERABLE = True  # /reset, and links in mails by which people get their account back; needs mail
SECURITY_CONFIRMABLE = False  # an address has to be confirmed before anybody logs in with it; needs mail
SECURITY_SEND_REGISTER_EMAIL = False  # a welcome to who signs up; with CONFIRMABLE they get a link anyway
SECURITY_FRESHNESS = 10  # minutes for which a password shown opens the sensitive pages; twice that to send them
SECURITY_PASSWORD_LENGTH_MIN = 8
# Only to verify the password hashes that a Flask-Security installation made. While such hashes are stored, a wrong
# password takes as long as the slowest of them: with bcrypt some 0.7 s instead of 0.25
SECURITY_PASSWORD_SALT = ""

# Mail, in Flask-Mail's words. Without a server mails stay in the outbox; on a loopback BASE_URL /dev/mailbox shows them
MAIL_SERVER = ""
MAIL_PORT = 25
MAIL_USERNAME = ""
MAIL_PASSWORD = ""
MAIL_USE_TLS = False  # STARTTLS, as on port 587
MAIL_USE_SSL = False  # TLS from the first byte, as on port 465
MAIL_DEFAULT_SENDER = ""  # "Example <site@example.com>"

# How often something may be tried, counted in the database for all processes together. After that: 429
THROTTLE_WRONG_PASSWORDS_PER_ACCOUNT = "5 per 5 minutes"
THROTTLE_WRONG_PASSWORDS_PER_ADDRESS = "10 per minute"  # an address is one of IPv4, or a /64 of IPv6
THROTTLE_LOG_INS_PER_ADDRESS = "30 per minute"
THROTTLE_SIGN_UPS_PER_ADDRESS = "20 per minute"
THROTTLE_MAILS_PER_ADDRESS = "10 per minute"  # asked for: resets, confirmations, changes of the e-mail address
THROTTLE_MAILS_PER_ACCOUNT = "3 per hour"  # for each purpose; more are not sent, and nobody is told
THROTTLE_PHONES_PER_ACCOUNT = "10 per hour"  # a number that is taken says so

# How long a log-in lasts: without a request, and at the longest
SESSION_IDLE = timedelta(days=1)
SESSION_LIFETIME = timedelta(days=30)
REMEMBER_IDLE = timedelta(days=30)  # the same of a log-in with "Remember me"
REMEMBER_LIFETIME = timedelta(days=180)
