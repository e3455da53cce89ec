"""What the tables are made of: the one MetaData, and columns that take what every database takes."""

from typing import Any

from sqlalchemy import BigInteger, Integer, MetaData, TypeDecorator
from sqlalchemy import String as PlainString
from sqlalchemy import Text as PlainText

from bridge.store.database import plain

metadata = MetaData()
BIG = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both: SQLite's INTEGER has them, and makes keys by itself only under that name."""


class String(TypeDecorator[str]):
    """Text of at most so many characters; what no database takes is left out of it."""

    impl = PlainString
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """On its way to the database."""
        del dialect
        return None if value is None else plain(value)


class Text(String):
    """Text of any length."""

    impl = PlainText
    cache_ok = True
