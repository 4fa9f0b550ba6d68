"""Tables of your own: what `check` and the tests require of them."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from app.cli.deployment_checks import check_tables
from app.models import Base


def test_every_row_of_a_user_is_deleted_with_the_account() -> None:
    assert list(check_tables(Base.metadata)) == []


def test_a_foreign_key_that_prevents_deletions_is_found() -> None:
    metadata = MetaData()
    Table("user", metadata, Column("id", Integer, primary_key=True))
    Table("note", metadata, Column("id", Integer, primary_key=True), Column("owner", ForeignKey("user.id")))

    assert list(check_tables(metadata)) == ['note.owner refers to user without ondelete="CASCADE": deletions fail']
