"""The settings of the second factor."""

# Users with one of these roles, such as ("admin",), can open only the enrolment pages until they have a second factor
SECOND_FACTOR_REQUIRED_ROLES: tuple[str, ...] = ()
RATE_LIMIT_WRONG_CODES_PER_ACCOUNT = "10 per hour"  # codes of the app, and recovery codes
RATE_LIMIT_NEW_RECOVERY_CODES_PER_ACCOUNT = "10 per hour"  # each request hashes ten codes
RATE_LIMIT_NEW_RECOVERY_CODES_PER_IP = "20 per hour"  # an attacker can register many accounts
