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


def test_a_foreign_key_to_rows_that_are_deleted_with_the_account_is_found() -> None:
    metadata = MetaData()
    Table("user", metadata, Column("id", Integer, primary_key=True))
    owner: Column[int] = Column("owner", ForeignKey("user.id", ondelete="CASCADE"))
    Table("note", metadata, Column("id", Integer, primary_key=True), owner)
    Table("comment", metadata, Column("note", ForeignKey("note.id")))
    Table("draft", metadata, Column("note", ForeignKey("note.id", ondelete="RESTRICT")))
    Table("like", metadata, Column("note", ForeignKey("note.id", ondelete="SET NULL"), nullable=False))
    Table("share", metadata, Column("note", ForeignKey("note.id", ondelete="SET NULL")))

    assert sorted(check_tables(metadata)) == [
        f'{table}.note refers to note without ondelete="CASCADE": deletions fail'
        for table in ("comment", "draft", "like")
    ]
