"""What the SQL sources share: rows as text by their ids, and errors of databases as errors of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from pipeline.capture.outputs import Unreadable
from pipeline.model.errors import SourceError
from pipeline.model.message import joined, message


@dataclass(frozen=True)
class DatabaseAddress:
    """Where a database is, and how to log in."""

    name: str
    """The source's name in the settings, for messages."""
    host: str
    port: int
    database: str
    user: str
    password: SecretStr | None = None
    timeout_s: int = 30
    tls: str = "prefer"
    """`off`, `prefer` (without checking the server's certificate), or `verify`."""
    ca_file: str | None = None


def rows_by_id(names: Sequence[str], rows: Iterable[Sequence[object]]) -> dict[str, dict[str, str | None]]:
    """Rows whose first column is the id. Values are texts of the server; None where it says NULL."""
    found = {}
    for row in rows:
        texts = [as_text(value) for value in row]
        found[texts[0] or ""] = dict(zip(names[1:], texts[1:], strict=True))
    return found


def as_text(value: object) -> str | None:
    """A value as the server's text; None for NULL. Of a binary column its text in UTF-8, or else its bytes as 0x and hexadecimal digits."""
    if isinstance(value, bytes | bytearray):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return f"0x{value.hex()}"
    return None if value is None else value if isinstance(value, str) else str(value)


def unreachable(address: DatabaseAddress, error: Exception) -> SourceError:
    """A failure of the database or of the way to it, to be tried again. The message has no password in it."""
    words = " ".join(str(error).split())
    if address.password is not None and (secret := address.password.get_secret_value()):
        words = words.replace(secret, "***")
    where = f"{address.host}:{address.port}/{address.database}"
    return SourceError(
        message("source {name}: the database {where} can't be read: {words}", name=address.name, where=where, words=words),
        is_retryable=True,
    )


def missing_columns(name: str, wanted: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]]) -> SourceError | None:
    """What the database lacks of the tables and columns that a kind reads; None where it has all."""
    faults = [message("table {table} is not there", table=table) for table in wanted if table not in found]
    faults += [
        message("table {table} has no column {column}", table=table, column=column)
        for table, columns in wanted.items()
        if table in found
        for column in columns
        if column not in found[table]
    ]
    if not faults:
        return None
    return SourceError(
        message(
            "source {name}: {faults}: check the database, its version, and the grants of the user", name=name, faults=joined("; ", faults)
        ),
        is_retryable=True,
    )


def newest_of(texts: Iterable[str | None], read: Callable[[str | None], int]) -> int | None:
    """The newest of the rows' own times, microseconds; None where there is none. One that can't be read is told by the reading, and stops nothing here."""
    found = None
    for text in texts:
        try:
            found = max(found or 0, read(text))
        except Unreadable:
            continue
    return found
