"""What one connection asks, whatever carries its lines: a local socket, or the page's websocket.

Decides what a face may ask and what it is told without asking; the carrier writes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol, assert_never

from meerkat.errors import MeerkatError
from meerkat.node.editors import Editors

from . import schema
from .databases import Databases, PeerOfDatabases, Rows
from .texts import OpenTexts, PutEvent

__all__ = ["Asking", "Conversation", "Desk", "WebSwitch"]

LOG = logging.getLogger(__name__)


class Asking(PeerOfDatabases, Protocol):
    """What needs the peer's answer: ``node.requests``, seen from here."""

    async def say(self, text: str, to: str = "") -> dict[str, Any]:
        """Say something to all, or to one member."""

    async def rename(self, name: str) -> dict[str, Any]:
        """Be called this from now on."""

    async def publish(self, data: bytes) -> dict[str, Any]:
        """Bytes for the programs of every other peer."""

    async def echo(self, peer: str, *, size: int, near: bool) -> dict[str, Any]:
        """How far away a member is."""

    def find(self, peer: str) -> dict[str, Any]:
        """Who is meant by a name."""

    def chat_history(self, limit: int) -> list[dict[str, Any]]:
        """The last lines that were said."""

    def network(self) -> dict[str, Any]:
        """The picture of the network."""

    def files(self) -> list[dict[str, Any]]:
        """Everything in the folder."""

    def people(self) -> list[dict[str, Any]]:
        """Who is in which text."""


class Desk(Protocol):
    """Who answers: the node, seen from here."""

    @property
    def requests(self) -> Asking:
        """For what needs the peer's answer."""

    @property
    def editors(self) -> Editors:
        """For open texts."""

    @property
    def rows(self) -> Rows:
        """For live databases."""

    def describe(self) -> dict[str, Any]:
        """Everything a person can be told, as JSON values."""

    async def invite(self, *, uses: int, lifetime: float) -> str:
        """A new invitation's text."""

    def request_stop(self) -> None:
        """Begin to leave."""

    def cut(self, members: frozenset[bytes]) -> None:
        """Testing aid: no links with these members; the empty set heals."""

    def subscribe(self, listener: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        """Call ``listener`` with every event; returns how to stop that."""


class WebSwitch(Protocol):
    """Turns the web page on and off (``meerkat.web``, seen from here)."""

    async def serve(self, port: int, origins: tuple[str, ...]) -> dict[str, Any]:
        """Serve it, if it is not served: its ``url`` with the token, and more to tell people."""

    async def stop(self) -> None:
        """Serve it no more."""


class Conversation:
    """One connection's requests and what it subscribed to. ``end`` it."""

    def __init__(
        self,
        desk: Desk,
        put_event: PutEvent,
        put_text: PutEvent,
        *,
        web: WebSwitch | None = None,
        may_ask: Callable[[schema.Request], bool] = lambda request: True,
    ) -> None:
        """``put_event`` may drop what is not read in time; ``put_text`` may not."""
        self._desk, self._web, self._may_ask = desk, web, may_ask
        self._put_event = put_event
        self._wanted: frozenset[str] = frozenset()
        self._unsubscribe: Callable[[], None] = lambda: None
        self.texts = OpenTexts(desk.editors, put_text)
        self._databases = Databases(desk, put_event)

    def end(self) -> None:
        """The connection is gone."""
        self._unsubscribe()
        self.texts.end()
        self._databases.end()

    async def reply(self, line: bytes | str) -> schema.Reply:
        """The answer to a line, whatever it holds."""
        try:
            request = schema.decode_request(line)
        except schema.RequestError as error:
            return schema.Reply(id=0, error=str(error), exit_code=2)
        if not self._may_ask(request):
            return schema.Reply(id=request.id, error="This is not for a page to ask.", exit_code=2)
        try:
            result = await self._result(request)
        except MeerkatError as error:
            return schema.Reply(id=request.id, error=str(error), exit_code=error.exit_code)
        except Exception:
            LOG.exception("a control request failed: %s", type(request).__name__)
            return schema.Reply(id=request.id, error="This failed; see the log.", exit_code=1)
        return schema.Reply(id=request.id, result=result)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        if not self._wanted or event["event"] in self._wanted:
            self._put_event(event)

    async def _result(self, request: schema.Request) -> dict[str, Any]:
        match request:
            case schema.Ping():
                return {"pid": os.getpid()}
            case schema.GetStatus():
                return self._desk.describe()
            case schema.Invite(uses=uses, lifetime=lifetime):
                return {"invitation": await self._desk.invite(uses=uses, lifetime=lifetime)}
            case schema.Stop():
                self._desk.request_stop()
                return {"pid": os.getpid()}
            case schema.Subscribe(events=events):
                self._unsubscribe()
                self._wanted = frozenset(events)
                self._unsubscribe = self._desk.subscribe(self._on_event)
                return {}
            case schema.Cut(members=members):
                self._desk.cut(frozenset(bytes.fromhex(member) for member in members))
                return {}
            case schema.Heal():
                self._desk.cut(frozenset())
                return {}
            case schema.ServeWeb(port=port, origins=origins):
                return await self._web_switch().serve(port, origins)
            case schema.StopWeb():
                await self._web_switch().stop()
                return {}
            case (
                schema.OpenText()
                | schema.EditText()
                | schema.TextFrame()
                | schema.TextCursor()
                | schema.ChooseLineEnds()
                | schema.CloseText()
            ):
                return await self.texts.ask(request)
            case (
                schema.Say()
                | schema.Rename()
                | schema.Publish()
                | schema.Echo()
                | schema.Find()
                | schema.ChatHistory()
                | schema.Network()
                | schema.ListFiles()
                | schema.People()
            ):
                return await self._asked(request)
            case _:
                return await self._databases.ask(request)

    def _web_switch(self) -> WebSwitch:
        if self._web is None:
            raise MeerkatError("This process cannot serve the page; run `meerkat up` instead.")
        return self._web

    async def _asked(self, request: schema.PeerRequest) -> dict[str, Any]:
        requests = self._desk.requests
        match request:
            case schema.Say(text=text, to=to):
                return await requests.say(text, to)
            case schema.Rename(name=name):
                return await requests.rename(name)
            case schema.Publish(data=data):
                return await requests.publish(data)
            case schema.Echo(peer=peer, size=size, near=near):
                return await requests.echo(peer, size=size, near=near)
            case schema.Find(peer=peer):
                return requests.find(peer)
            case schema.ChatHistory(limit=limit):
                return {"lines": requests.chat_history(limit)}
            case schema.Network():
                return requests.network()
            case schema.ListFiles():
                return {"files": requests.files()}
            case schema.People():
                return {"people": requests.people()}
            case _:
                assert_never(request)
