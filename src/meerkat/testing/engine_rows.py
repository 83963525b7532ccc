"""The real rows engine in the process of a test: every request and look is done at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from meerkat.core.rows import (
    ApplyRows,
    AttachDatabase,
    DatabaseImported,
    DatabaseRefused,
    DetachDatabase,
    ExportDatabase,
    ImportDatabase,
    LoadDatabase,
    RowsReport,
    RowsRequest,
    RowsSigned,
)
from meerkat.rows.database import Database
from meerkat.rows.file import FileBusy, FileGone, FileStuck
from meerkat.rows.imports import RefusedError, import_base

__all__ = ["EngineRows"]


class EngineRows:
    """A ``RowsWorker`` (``memory_rows``) whose databases are ``meerkat.rows``'s."""

    def __init__(self, root: Path, report: Callable[[RowsReport], None]) -> None:
        self._root, self._report = root.resolve(), report
        self.databases: dict[bytes, Database] = {}

    def close(self) -> None:
        """See RowsWorker."""
        for database in self.databases.values():
            database.close()
        self.databases.clear()

    def look(self) -> bool:
        """See RowsWorker. Handles are closed at once, as idle ones are."""
        busy = [database.look() for database in self.databases.values()]
        self._rest()
        return any(busy)

    def tell(self, request: RowsRequest) -> None:
        """See RowsWorker."""
        if isinstance(request, ImportDatabase):
            self._import(request)
        elif isinstance(request, LoadDatabase):
            self._load(request)
        elif request.version in self.databases:
            self._do(self.databases[request.version], request)
        self._rest()

    def _rest(self) -> None:
        for database in self.databases.values():
            database.close_idle(float("inf"))

    def _do(self, database: Database, request: RowsRequest) -> None:
        match request:
            case ApplyRows():
                database.apply(request.entries)
            case RowsSigned():
                database.signed(request)
            case ExportDatabase():
                database.export()
            case AttachDatabase():
                database.attach(request.path)
            case DetachDatabase():
                database.detach(request.gone, request.leave)

    def _load(self, request: LoadDatabase) -> None:
        database = self.databases.get(request.version)
        if database is None:
            home = self._root / ".meerkat" / "rows" / request.version.hex()
            home.mkdir(exist_ok=True)
            database = Database(self._root, home, request.version, on_report=self._report)
            self.databases[request.version] = database
        database.load(self._root / ".meerkat" / "bases" / request.base.hex(), request.author)

    def _import(self, request: ImportDatabase) -> None:
        try:
            base = import_base(self._root / request.path, self._root / ".meerkat" / "bases")
        except (RefusedError, FileBusy, FileGone, FileStuck) as error:
            self._report(DatabaseRefused(request.ticket, request.path, str(error) or "not now"))
            return
        self._report(
            DatabaseImported(request.ticket, request.path, base.digest, base.size, base.chunks)
        )
