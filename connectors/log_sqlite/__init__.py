"""The embedded event log: one SQLite file."""

from .log import SqliteLog as SqliteLog
