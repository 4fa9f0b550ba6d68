"""The tables. Importing this package defines all of them."""

from app.models.base import Base
from app.models.email import Email
from app.models.rate_limit import RateLimit
from app.models.role import Role, UserRole
from app.models.user import User
from app.models.user_event import UserEvent
from app.models.user_session import UserSession
from app.models.user_token import UserToken

__all__ = ["Base", "Email", "RateLimit", "Role", "User", "UserEvent", "UserRole", "UserSession", "UserToken"]
