"""Carrying out effects: each one goes to the adapter that can, and none of them waits."""

from __future__ import annotations

from base64 import b64encode
from typing import assert_never

from meerkat.core import effects
from meerkat.core.effects import Effect
from meerkat.transport.base import Transport

from .bulletin import Bulletin
from .dialing import Dialer
from .editors import Editors
from .folder_hand import FolderHand
from .links import Links
from .reception import Reception
from .requests import Requests
from .rows_host import RowsHost
from .serving import Serving
from .timers import Timers

__all__ = ["Hands"]


class Hands:
    """All adapters of a running node, in one place."""

    def __init__(
        self,
        *,
        transport: Transport,
        links: Links,
        dialer: Dialer,
        serving: Serving,
        folder: FolderHand,
        timers: Timers,
        reception: Reception,
        requests: Requests,
        editors: Editors,
        rows: RowsHost,
        bulletin: Bulletin,
    ) -> None:
        self.transport = transport
        self.links = links
        self.dialer = dialer
        self.serving = serving
        self.folder = folder
        self.timers = timers
        self.reception = reception
        self.requests = requests
        self.editors = editors
        self.rows = rows
        self.bulletin = bulletin

    def hold_back(self, waiting_bytes: int, limit_bytes: int) -> None:
        """Let content arrive no faster than the disk takes it."""
        waiting = waiting_bytes + self.folder.queued_bytes + self.rows.queued_bytes
        if waiting > limit_bytes:
            self.links.pause_bulk(True)
        elif waiting <= limit_bytes // 2:
            self.links.pause_bulk(False)
        self.links.forget_message()

    def perform(self, effect: Effect) -> None:
        """Begin what the peer asks for."""
        match effect:
            case effects.Send(link=link, message=message):
                self.links.send(link, message)
            case effects.CloseLink(link=link, reason=reason):
                self.links.close(link, reason)
            case effects.StartTimer(name=name, delay=delay):
                self.timers.start(name, delay)
            case effects.Perform(jobs=jobs):
                self.folder.perform(jobs)
            case effects.StoreChunk():
                self.folder.store(effect)
            case effects.ServeChunks():
                self.serving.serve(effect)
            case effects.ScanFolder():
                self.folder.scan()
            case effects.ReportFile(path=path):
                self.folder.report(path)
            case effects.TreatAsPlain(path=path, plain=plain):
                self.folder.treat_as_plain(path, plain=plain)
            case effects.Dial():
                self.dialer.dial(effect)
            case effects.Trust(certificates=certificates):
                self.transport.trust(certificates)
            case effects.InvitationMade() | effects.AnswerKnock():
                self.reception.answer(effect)
            case effects.Notify(name=name, facts=facts):
                self.bulletin.publish(name, **facts)
            case effects.Answered():
                self.requests.answer(effect)
            case effects.Heard():
                self._tell(effect)
            case effects.TellEditor():
                self.editors.tell(effect)
            case effects.TellRows(request=request):
                self.rows.send(request)
            case _:
                assert_never(effect)

    def _tell(self, heard: effects.Heard) -> None:
        facts = {
            "author": heard.author.hex(),
            "from": heard.member.hex(),
            "name": heard.name,
            "data": b64encode(heard.data).decode(),
        }
        self.bulletin.publish("message", **facts)
