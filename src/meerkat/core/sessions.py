"""Who of our own has which text open: their typing becomes operations, everyone's reaches them.

Decides what an open text's editors are told, whose cursors they see, and when a session is over.
Does not know how an editor speaks (``ot``, ``bridge``) nor how texts merge (``text``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .actions import EditText, SetEol
from .anchors import Anchors
from .birth import Entropy
from .bridge import Bridge, Outgoing
from .cursors import Cursors, CursorsConfig, Spot, colors_of
from .diff import diff
from .editing import (
    Closed,
    CursorShown,
    EditorMessage,
    Frame,
    LineEnds,
    Moved,
    RangesChanged,
    SessionId,
    Speech,
)
from .edits import Edit
from .effects import Answered, Effect, StartTimer, TellEditor
from .events import (
    CursorMoved,
    FramesReceived,
    LineEndsChosen,
    RangesEdited,
    TextClosed,
    TextOpened,
)
from .gate import Gate
from .ids import AuthorId, MemberId
from .line_ends import surplus_returns
from .open_texts import Offsets, OpenText, OpenTexts, Session
from .ot import EditorError, EditorSide
from .ports import Store
from .replica import Replica
from .status import Person
from .text_file import MAX_TEXT_BYTES, Eol

__all__ = ["Sessions"]

MAX_SESSIONS = 1_024  # open at once on one machine (guess)


class Sessions:
    """All open texts of this node."""

    def __init__(
        self,
        store: Store,
        replica: Replica,
        gate: Gate,
        own: MemberId,
        config: CursorsConfig,
        entropy: Entropy,
    ) -> None:
        self._store, self._replica, self._gate = store, replica, gate
        self._own, self._entropy = own, entropy
        self.held = OpenTexts(store)
        self._texts = self.held.texts
        self._sessions: dict[SessionId, Session] = {}
        self._cursors = Cursors(config)
        self._colors: dict[MemberId, str] = {}
        self._effects: list[Effect] = []
        self._moved_cursors: set[SessionId] = set()
        self._people_changed = False
        replica.texts.on_change = self._on_change

    # -- reading ---------------------------------------------------------------------------

    def color_of(self, member: MemberId) -> str:
        """A member's color."""
        members = self._replica.roster.members
        if len(members) != len(self._colors) or member not in self._colors:
            self._colors = colors_of({*members, member})
        return self._colors[member]

    def people(self) -> list[Person]:
        """Who is in which text: others first, then our own sessions."""
        people = []
        for heard in self._cursors.heard():
            path = self._replica.view.place_of(heard.version)
            member = self._gate.member_of(heard.author)
            if path is not None and member is not None:
                name = self._gate.name_of(heard.author)
                people.append(
                    Person(heard.user, name, member.hex(), self.color_of(member), path, own=False)
                )
        name = self._gate.name_of(self._gate.author)
        for session in self._sessions.values():
            user = self._user(session.id)
            path = session.open.path
            people.append(
                Person(user, name, self._own.hex(), self.color_of(self._own), path, own=True)
            )
        return people

    # -- what editors do -------------------------------------------------------------------

    def open(self, event: TextOpened) -> None:
        """An editor opens a text."""
        problem = self._problem(event.path)
        if problem:
            self._effects.append(Answered(event.ticket, problem=problem))
            return
        shown = self._replica.view.files[event.path]
        _, version = self._replica.tree.find(shown.file, shown.version)
        assert version is not None
        found = self._texts.get(version.id)
        if found is None:
            text = self._replica.texts.open(version)
            found = OpenText(version, shown.file, event.path, text, Anchors(text), eol=version.eol)
            self._texts[version.id] = found
        current = self._replica.texts.load(version).text
        facts: dict[str, str | int | float | bool] = {
            "path": event.path,
            "file": shown.file.hex(),
            "version": version.id.hex(),
        }
        if event.speech is Speech.RANGES:
            facts["text"] = current
        self._effects.append(Answered(event.ticket, facts))
        if event.speech is Speech.RANGES:
            start = current if event.content is None else event.content
            side = EditorSide(start)
            session = Session(event.session, found, side, event.saves, event.line_ends)
            if version.eol:
                self._tell_line_ends([session], version.eol)
            if start != current:
                changed = side.from_us(diff(start, current))
                self._tell(session.id, *changed)
        else:
            session = Session(event.session, found, None)
            if found.bridge is None:
                found.bridge = Bridge(self._store, version.id, current, self._entropy)
                self._show_all(found, found.bridge)
            self._send(found.bridge.join(event.session))
        found.sessions[event.session] = session
        self._sessions[event.session] = session
        self._people_changed = True
        if session.side is not None:
            self.held.note_held()
            self._show_others(session)

    def edit(self, event: RangesEdited, wall: float) -> None:
        """An editor that speaks in ranges typed."""
        session = self._sessions.get(event.session)
        if session is None or session.side is None:
            self._effects.append(Answered(event.ticket, problem="This text is not open here."))
            return
        try:
            typed = session.side.from_editor(event.revision, event.edits)
            self._type(session.open, [typed.edits], wall, session.id)
        except (EditorError, ValueError) as error:
            problem = f"{error}. Open the text again."
            self._effects.append(Answered(event.ticket, problem=problem))
            self._end(session, Closed("protocol", problem))
            return
        self._effects.append(Answered(event.ticket))
        self._tell(session.id, *typed.resend)

    def receive(self, event: FramesReceived, wall: float) -> None:
        """A Yjs editor says something."""
        session = self._sessions.get(event.session)
        bridge = session.open.bridge if session is not None else None
        if session is None or bridge is None or event.session not in bridge.sessions:
            return
        received = bridge.receive(event.session, event.frames)
        problem = received.refused
        try:
            self._type(session.open, received.edits, wall, bridge)
        except ValueError as error:  # it fitted there, and not into the text: take it back
            problem = ("stale", f"{error}.")
            text = self._replica.texts.load(session.open.version).text
            self._send(bridge.edit(diff(bridge.text, text)))
        self._send(received.out)
        if received.cursors is not None:
            session.cursors = received.cursors
            self._on_cursor(session)
        if problem is not None:
            self._end(session, Closed(*problem))

    def move_cursor(self, event: CursorMoved) -> None:
        """A person moved the cursor."""
        session = self._sessions.get(event.session)
        if session is None or session.side is None:
            return
        session.cursors = tuple(session.side.to_text(event.selections))
        self._on_cursor(session)

    def choose(self, event: LineEndsChosen, wall: float) -> None:
        """A person wants other line ends in the file."""
        session = self._sessions.get(event.session)
        eol = (Eol.CRLF if event.crlf else Eol.LF).value
        if session is not None and session.line_ends and session.open.version.eol != eol:
            found = session.open
            self._replica.before_edit(found.version)
            self._replica.write([SetEol(found.file, found.version.id, eol)], wall)

    def settle_line_ends(self, now: float, wall: float) -> None:
        """Tell of new line ends; a text marked CRLF loses the CRs that are part of those.

        Not at each key: what an editor shows until then, it saves as the same bytes.
        """
        for found in list(self._texts.values()):
            version = found.version
            if self._replica.view.place_of(version.id) is None:
                continue  # it is over
            if found.eol != version.eol:
                self.held.turn(found, version.eol, now)
                self._tell_line_ends(found.sessions.values(), version.eol)
            if version.eol == Eol.CRLF.value:
                text = self._replica.texts.load(version)
                if text is not found.text or found.settled != text.update_count:
                    self._type(found, [surplus_returns(text.text)], wall, None)
                    found.settled = text.update_count

    def _tell_line_ends(self, sessions: Iterable[Session], eol: str) -> None:
        for one in sessions:
            if one.line_ends and one.side is not None:
                self._tell(one.id, LineEnds(eol == Eol.CRLF.value))

    def close(self, event: TextClosed) -> None:
        """An editor is done with a text, or gone."""
        session = self._sessions.get(event.session)
        if session is not None:
            self._leave(session)

    def stop(self) -> None:
        """The node stops: nobody should type into the void."""
        for session in list(self._sessions.values()):
            self._end(session, Closed("stopping", "Meerkat stops serving this folder."))

    # -- what happens to texts -------------------------------------------------------------

    def _on_change(self, version: bytes, edits: Sequence[Edit], source: object) -> None:
        found = self._texts.get(version)
        if found is None or not edits:
            return
        for session in found.sessions.values():
            if session.side is not None and session.id != source:
                self._tell(session.id, *session.side.from_us(edits))
        if found.bridge is not None and found.bridge is not source:
            self._send(found.bridge.edit(edits))

    def _type(
        self, found: OpenText, lists: Sequence[Sequence[Edit]], wall: float, source: object
    ) -> None:
        """Write what was typed. What does not fit is refused whole."""
        typed = [edits for edits in lists if edits]
        if not typed:
            return
        version = found.version
        text = self._replica.texts.load(version)
        self._replica.before_edit(version)
        updates: list[bytes] = []
        try:
            for edits in typed:
                grown = sum(_grown_bytes(text.text, edit) for edit in edits)
                if grown > 0 and text.size + grown > MAX_TEXT_BYTES:
                    raise ValueError("A text that is edited live has at most 4 MiB")
                updates += self._replica.texts.edit(version, edits, source)
        finally:
            if updates:
                self._replica.write(
                    [EditText(found.file, version.id, update) for update in updates], wall
                )

    # -- cursors ---------------------------------------------------------------------------

    def hear(self, author: AuthorId, payload: bytes, now: float) -> None:
        """Somebody else's cursors, as a broadcast brought them."""
        self._cursors.hear(author, payload, now)

    def _on_cursor(self, session: Session) -> None:
        anchors = self._anchors(session.open)
        spots = [(anchors.item_at(a), anchors.item_at(h)) for a, h in session.cursors]
        self._cursors.move(session.id, session.open.version.id, spots)
        self._moved_cursors.add(session.id)

    def _anchors(self, found: OpenText) -> Anchors:
        text = self._replica.texts.load(found.version)
        if text is not found.text:  # loaded anew: we go on as another author
            found.text, found.anchors = text, Anchors(text)
        return found.anchors

    def _show_own(self, session: Session) -> None:
        """Our sessions see each other at once."""
        found = session.open
        for other in found.sessions.values():
            if other.side is not None and other is not session:
                self._show(other, session.id, session.cursors)
        if found.bridge is not None and session.side is not None:
            self._show_in(found.bridge, session)

    def _show_in(self, bridge: Bridge, of: Session) -> None:
        name = self._gate.name_of(self._gate.author)
        color = self.color_of(self._own)
        self._send(bridge.show(self._user(of.id), name, color, of.cursors))

    def _show(self, to: Session, of: SessionId, cursors: Offsets) -> None:
        assert to.side is not None
        name = self._gate.name_of(self._gate.author)
        selections = to.side.to_editor(cursors)
        shown = CursorShown(self._user(of), name, self._own, self.color_of(self._own), selections)
        self._tell(to.id, shown)

    def _show_heard(self, found: OpenText, mark: str) -> bool:
        """Tell the sessions of a text; False if the cursor stands at what is not here yet."""
        heard = self._cursors.changed[mark]
        member = self._gate.member_of(heard.author)
        if member is None:
            return True
        places = [self._place(found, pair) for pair in heard.selections]
        cursors = tuple(place for place in places if place is not None)
        name, color = self._gate.name_of(heard.author), self.color_of(member)
        for session in found.sessions.values():
            if session.side is not None:
                selections = session.side.to_editor(cursors)
                shown = CursorShown(heard.user, name, member, color, selections)
                self._tell(session.id, shown)
        if found.bridge is not None:
            self._send(found.bridge.show(heard.user, name, color, cursors))
        return len(cursors) == len(places)

    def _place(self, found: OpenText, pair: tuple[Spot, Spot]) -> tuple[int, int] | None:
        anchors = self._anchors(found)
        ends = [anchors.offset_of(spot) for spot in pair]
        return (ends[0], ends[1]) if ends[0] is not None and ends[1] is not None else None

    def _show_others(self, session: Session) -> None:
        """A session is new: all who are in its text."""
        found = session.open
        self._cursors.recall(found.version.id)
        for other in found.sessions.values():
            if other is not session and other.cursors:
                self._show(session, other.id, other.cursors)

    def _show_all(self, found: OpenText, bridge: Bridge) -> None:
        self._cursors.recall(found.version.id)
        for other in found.sessions.values():
            if other.side is not None and other.cursors:
                self._show_in(bridge, other)

    def _user(self, session: SessionId) -> str:
        return self._cursors.user(self._gate.author, session)

    # -- endings ---------------------------------------------------------------------------

    def _problem(self, path: str) -> str:
        """Why a text cannot be opened, as a sentence; empty if it can."""
        view, tree = self._replica.view, self._replica.tree
        shown = view.files.get(path)
        if len(self._sessions) >= MAX_SESSIONS:
            return "Too many texts are open; close some."
        if shown is None:
            if view.is_folder(path):
                return f"{path} is a folder; open a file in it."
            return f"{path} is no file that this folder shares; save it there first."
        _, version = tree.find(shown.file, shown.version)
        if version is None or version.kind != "text":
            return f"{path} is not a text of at most 4 MiB, so it cannot be edited live here."
        return ""

    def _look_after(self, found: OpenText) -> None:
        """Whether the text is still where it was, and still there at all."""
        version = found.version
        place = self._replica.view.place_of(version.id)
        if place is not None:
            if place != found.path:
                found.path = place
                self._people_changed = True
                for number in found.sessions:
                    self._tell(number, Moved(place))
            return
        file = self._replica.tree.files.get(found.file)
        others = file.shown() if file is not None else []
        if not others:
            why = Closed("deleted", f"{found.path} was deleted; what you see was its last text.")
        elif others[0].kind == "text":
            why = Closed("replaced", f"{found.path} was replaced as a whole; open it again.")
        else:
            why = Closed("binary", f"{found.path} is not a text any more.")
        for session in list(found.sessions.values()):
            self._end(session, why)

    def _end(self, session: Session, why: Closed) -> None:
        self._leave(session)
        self._tell(session.id, why)

    def _leave(self, session: Session) -> None:
        found = session.open
        del self._sessions[session.id]
        del found.sessions[session.id]
        self._moved_cursors.discard(session.id)
        self._cursors.drop(session.id)
        self._people_changed = True
        if session.cursors:
            session.cursors = ()
            self._show_own(session)
        if found.bridge is not None and session.side is None:
            self._send(found.bridge.leave(session.id))
            if not found.bridge.sessions:
                found.bridge.close()
                found.bridge = None
        version = found.version.id
        if session.side is not None:
            self.held.note_held()
        if not self.held.holds(version):
            self.held.released.add(version)
        if not found.sessions:
            del self._texts[version]
            self._replica.texts.close(version)

    # -- telling ---------------------------------------------------------------------------

    def _tell(self, session: SessionId, *messages: EditorMessage | RangesChanged) -> None:
        self._effects += [TellEditor(session, message) for message in messages]

    def _send(self, outgoing: Sequence[Outgoing]) -> None:
        self._effects += [TellEditor(session, Frame(data)) for session, data in outgoing]

    def evaluate(self, now: float) -> list[Effect]:
        """What the editors should know by now."""
        if self._texts or self._cursors.has_heard:
            self._settle(now)
        effects, self._effects = self._effects, []
        return effects

    def _settle(self, now: float) -> None:
        for found in list(self._texts.values()):
            self._look_after(found)
        for session in sorted(self._moved_cursors):
            self._show_own(self._sessions[session])
        self._moved_cursors.clear()
        again = self._cursors.expire(now)
        for mark in list(self._cursors.changed):
            heard = self._cursors.changed[mark]
            found_text = self._texts.get(heard.version)
            if found_text is None or self._show_heard(found_text, mark):
                del self._cursors.changed[mark]
        if again:
            self._effects.append(StartTimer("cursors gone", again))

    def say(self, now: float) -> tuple[bytes, list[Effect]]:
        """What others should know of our cursors now, if anything."""
        payload, again = self._cursors.due(now)
        if payload:  # pages forget a cursor that they do not hear of for 30 s
            self._moved_cursors.update(one.id for one in self._sessions.values() if one.cursors)
        return payload, [StartTimer("cursors", again)] if again else []

    def news(self) -> bool:
        """Whether people came, went, or changed their text since the last call."""
        changed = self._people_changed or self._cursors.came_or_went
        self._people_changed = self._cursors.came_or_went = False
        return changed


def _grown_bytes(text: str, edit: Edit) -> int:
    """What an edit adds to a text, in UTF-8; less than 0 if it deletes more."""
    removed = text[edit.position : edit.end] if edit.deleted else ""
    return len(edit.inserted.encode()) - len(removed.encode())
