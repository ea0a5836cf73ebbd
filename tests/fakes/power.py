"""A kill between any two SQL statements: connections that die, and the files as they then stand."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_connect = sqlite3.connect


class PowerLostError(BaseException):
    """Nothing runs after this, so nothing may catch it."""


class Mortal(sqlite3.Connection):
    """A connection that works until the power is lost, and then not even closes."""

    power: Power

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self.power.check()
        cursor = super().execute(sql, parameters)
        self.power.spend()
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        """One statement for each row, so that the power can be lost in the middle."""
        for row in parameters:
            self.execute(sql, row)
        return self.cursor()

    def executescript(self, sql: str) -> sqlite3.Cursor:
        self.power.check()
        cursor = super().executescript(sql)
        self.power.spend()
        return cursor

    def close(self) -> None:
        """A process that was killed closes nothing: no checkpoint, no rollback."""
        if not self.power.lost:
            super().close()


class Power:
    """Stands in for ``sqlite3.connect``; loses the power when it is told to."""

    def __init__(self) -> None:
        #: statements that are still carried out; None while the power is reliable
        self.left: int | None = None
        self.lost = False
        self._connections: list[Mortal] = []

    def connect(self, *args: Any, **named: Any) -> sqlite3.Connection:
        db = _connect(*args, factory=Mortal, **named)
        db.power = self
        self._connections.append(db)
        return db

    def check(self) -> None:
        """Before a statement.

        Raises:
            PowerLostError: there is no more power.
        """
        self.lost |= self.left == 0
        if self.lost:
            raise PowerLostError

    def spend(self) -> None:
        """After a statement, the last one of which is carried out and not heard of."""
        if self.left is not None:
            self.left -= 1
            self.check()

    def restore(self, path: Path, new: Path) -> None:
        """Power again, for the file as it was left and its log; what held it open is no more."""
        for part in ("", "-wal"):
            if Path(f"{path}{part}").exists():
                shutil.copyfile(f"{path}{part}", f"{new}{part}")
        self.lost, self.left = False, None
        for db in self._connections:
            db.close()
        self._connections.clear()
