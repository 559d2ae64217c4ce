"""The office's relational database: the one room that imports SQLAlchemy.

What may not go on the chain, or costs too much there, is kept here: personal data, and what the operator collects.
SQLite by default, PostgreSQL by URL, the same tables on both.

To add tables, write a file beside this one with

- ``Table`` objects on ``schema.METADATA``;
- a ``Room``: a name, and the steps that bring its tables from nothing to what they are now; a step that a release has
  carried out is never changed, a later one follows it;
- a class that takes a ``Database`` and does its work in ``with database.reading()`` or ``database.writing()``.

Open the database with the rooms that a command needs. Times are UTC epoch seconds in ``BigInteger``, energy is Wh in
``BigInteger``, and what does not fit 63 bits (wei, a packed reading) is text.
"""

from agent.adapters.office_database.database import Database
from agent.adapters.office_database.schema import Room

__all__ = ["Database", "Room"]
