"""The rows of a query on a file of SQLite or DuckDB, which is opened for reading alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rnnspec.data.arrow import check_columns, plain
from rnnspec.data.how import How
from rnnspec.data.lines import Position, check_file
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError

CHUNK_ROWS = 1024


def read_database(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of the columns of the query `how.query`; rows are counted from 1 in its order, which
    is the same at each reading only if the query says it (ORDER BY) or the file decides it.

    Raises DataError for a query that fails, and for columns that it does not give.
    """
    check_file(file)
    with closing(_connected(file, how)) as connection:
        cursor = _asked(connection, file, how)
        names = [each[0] for each in cursor.description or ()]
        check_columns(file, columns, names)
        places, first = [names.index(column) for column in columns], 0
        while rows := _next(cursor, file):
            cells = {
                c: [plain(row[at]) for row in rows] for c, at in zip(columns, places, strict=True)
            }
            yield Chunk(first, list(range(first + 1, first + len(rows) + 1)), cells)
            first += len(rows)
    position.done = 1.0


def names_of_query(file: Path, how: How) -> list[str]:
    """The names of the columns of a query. Raises DataError."""
    check_file(file)
    with closing(_connected(file, how)) as connection:
        return [each[0] for each in _asked(connection, file, how).description or ()]


def _connected(file: Path, how: How) -> Any:
    if not how.query:
        raise DataError(
            f"{file}: is a database; name a query, as in train: {{file: {file.name}, query: 'select"
            " text, label from rows'} (--query of run and evaluate)"
        )
    if how.format == "sqlite":
        try:
            return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise DataError(f"{file}: cannot be opened: {error}") from error
    duckdb = _duckdb(file)
    try:  # of one thread rows come in the order of the file
        return duckdb.connect(str(file), read_only=True, config={"threads": 1})
    except duckdb.Error as error:
        raise DataError(f"{file}: cannot be opened: {error}") from error


def _duckdb(file: Path) -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise DataError(
            f"{file}: reading DuckDB needs duckdb; pip install 'rnnspec[duckdb]'"
        ) from error
    return duckdb


def _asked(connection: Any, file: Path, how: How) -> Any:
    try:
        return connection.execute(how.query)
    except Exception as error:  # each library has its own
        raise _failed(file, error) from error


def _next(cursor: Any, file: Path) -> list[Any]:
    try:
        found: list[Any] = cursor.fetchmany(CHUNK_ROWS)
    except Exception as error:  # each library has its own
        raise _failed(file, error) from error
    return found


def _failed(file: Path, error: Exception) -> DataError:
    return DataError(f"{file}: the query fails: {str(error).strip().splitlines()[0]}")
