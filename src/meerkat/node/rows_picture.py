"""Which databases are live, as the rows process reported last: for faces, without asking it."""

from __future__ import annotations

from dataclasses import dataclass

from meerkat.core import rows
from meerkat.core.rows import RowsReport, RowsRequest

__all__ = ["RowsPicture"]

NOT_READY = "It is not ready yet."
NOT_YET = "{} is a live database, but not ready yet; try again."


@dataclass(slots=True)
class _Live:
    """One database. ``path``: where it stands, or should."""

    path: str = ""
    attached: bool = False
    why_not: str = ""
    problem: str = ""
    aside: int = 0

    @property
    def state(self) -> str:
        """Nothing if all is well."""
        return self.problem or self.why_not or ("" if self.attached else NOT_READY)


class RowsPicture:
    """Requests and reports in, answers for people out."""

    def __init__(self) -> None:
        self._lives: dict[bytes, _Live] = {}

    def sent(self, request: RowsRequest) -> None:
        """The process was asked for this."""
        if isinstance(request, rows.AttachDatabase):
            self._take(request.path, but=request.version)
            self._live(request.version).path = request.path
        elif isinstance(request, rows.LoadDatabase) and request.again:
            live = self._live(request.version)
            live.problem = live.why_not = ""
        elif isinstance(request, rows.DetachDatabase) and request.gone:
            self._lives.pop(request.version, None)

    def reported(self, report: RowsReport) -> None:
        """The process says this."""
        match report:
            case rows.DatabaseAttached(version=version, path=path):
                live = self._live(version)
                live.path, live.attached, live.why_not = path, True, ""
            case rows.DatabaseDetached(version=version, reason=""):
                self._lives.pop(version, None)
            case rows.DatabaseDetached(version=version, reason=reason) if reason != "busy":
                live = self._live(version)
                live.attached, live.why_not = False, reason
            case rows.DatabaseState(version=version, problem=problem, aside=aside):
                live = self._live(version)
                live.problem, live.aside = problem, aside
            case _:
                pass

    def forget(self) -> None:
        """The process has ended; its databases will be attached again."""
        for live in self._lives.values():
            live.attached, live.problem = False, ""

    def is_live(self, path: str) -> bool:
        """Whether the database at a path is attached."""
        return any(live.attached and live.path == path for live in self._lives.values())

    def why_not(self, path: str) -> str:
        """Why a database that should be live is not; empty if there is none."""
        for live in self._lives.values():
            if live.path == path:
                return live.why_not or NOT_YET.format(path)
        return ""

    def databases(self) -> list[tuple[str, str, int]]:
        """(path, problem or nothing, rows set aside), by path."""
        return sorted(
            (live.path, live.state, live.aside) for live in self._lives.values() if live.path
        )

    def _take(self, path: str, *, but: bytes) -> None:
        """What stood there before is not there any more, though nobody may have said so."""
        for version, live in list(self._lives.items()):
            if live.path == path and not live.attached and version != but:
                del self._lives[version]

    def _live(self, version: bytes) -> _Live:
        return self._lives.setdefault(version, _Live())
