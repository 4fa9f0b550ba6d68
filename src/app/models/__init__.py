"""Nouns: the tables, and small facts about themselves. Importing this package names every table."""

from app.models.core import Base, db
from app.models.role import Role
from app.models.throttle import Throttle
from app.models.user import User, UserRole
from app.models.user_session import UserSession

__all__ = ["Base", "Role", "Throttle", "User", "UserRole", "UserSession", "db"]
