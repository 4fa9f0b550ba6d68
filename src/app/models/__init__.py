"""Nouns: the tables, and small facts about themselves. Importing this package names every table."""

from app.models.base import Base
from app.models.core import db
from app.models.mail import Mail
from app.models.role import Role
from app.models.throttle import Throttle
from app.models.user import User, UserRole
from app.models.user_event import UserEvent
from app.models.user_session import UserSession
from app.models.user_token import UserToken

__all__ = ["Base", "Mail", "Role", "Throttle", "User", "UserEvent", "UserRole", "UserSession", "UserToken", "db"]
