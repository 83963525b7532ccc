"""What people say to each other: to all, to one, and by which name.

A line for all is an operation of its author's log, so newcomers have the history and nobody needs
to be here. A letter to one goes by courier; if nobody answers, the same letter lies sealed in the
log until its member comes, who answers with a receipt. Every line is kept once, whichever way it
came. The speaker of a line is the member of the author who signed it.

Decides no routes (``courier``) and no order of operations (``log``).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .actions import (
    MAX_RECEIPTS,
    Mail,
    MemberNamed,
    PayloadError,
    Receipt,
    Said,
    decode_mail,
    decode_receipt,
    decode_said,
    encode_payload,
)
from .courier import Courier, Delivered, News, Received, Unreachable
from .effects import Answered, Effect, Notify, StartTimer
from .events import EchoRequested, RenameRequested, SayRequested
from .gate import Gate
from .ids import AuthorId, MemberId
from .letters import (
    MAX_TEXT_BYTES,
    Letter,
    LetterError,
    LetterKind,
    Open,
    Seal,
    open_letter,
    text_of,
    write_letter,
)
from .operation import Operation, OperationKind, decode_operation
from .ports import Store, Table
from .replica import TALK_KINDS, Replica
from .shown_text import MAX_NAME_CHARS, clean_text, is_name
from .status import ChatLine
from .talk_table import DELIVERED, MAILED, SENT, Line, TalkTable
from .timing import MS

__all__ = ["Talk", "TalkConfig"]

TIMER = "talk"
_INDEXED = b"talk/indexed"  # in Table.META: the log was searched for what an older meerkat left
_SLICE_BYTES = 1024 * 1024  # of the log, read at once while searching
_ID_BYTES = 16
_LAST_MS = 253_402_300_799_000  # the end of the year 9999: a clock beyond it cannot be shown

Facts = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class TalkConfig:
    """Patience, in seconds."""

    old_after: float = 60.0
    """A line said so long ago is history when it comes (contract of the faces)."""
    receipt_after: float = 0.5
    """Mails that come within this time share one receipt; guess."""
    receipt_spread: float = 2.5
    """... and as much more, by chance, where our member has several installations: the first one
    answers for all; guess."""


class Talk:
    """Lines, letters and names. Applied operations come in through ``Replica.apply_talk``.

    Ask ``settle`` after every event, and then, if ``has_to_write``, ``write``.
    """

    def __init__(
        self,
        store: Store,
        replica: Replica,
        gate: Gate,
        courier: Courier,
        config: TalkConfig,
        rng: Random,
        *,
        seal: Seal,
        open_: Open,
    ) -> None:
        self._store, self._replica, self._gate = store, replica, gate
        self._courier, self._config, self._rng = courier, config, rng
        self._seal, self._open = seal, open_
        self._log, self._roster = replica.log, replica.roster
        self._table = TalkTable(store)
        self._fresh: list[tuple[Line, bool]] = []  # to be told; True: it came just now, by letter
        self._told: list[Effect] = []
        self._echoes: dict[bytes, int] = {}  # letter id -> ticket
        self._unmailed: list[bytes] = []  # letters of ours that go into the log next
        self._receipts_wanted = False
        self._receipts_armed = False
        self._receipts_due = False
        replica.apply_talk = self.apply

    # -- reading ---------------------------------------------------------------------------

    def history(self, limit: int) -> list[ChatLine]:
        """The last lines that were said to all, to us or by us, the newest last."""
        return [self._chat_line(one, old=True) for one in reversed(self._table.newest(limit))]

    @property
    def has_to_write(self) -> bool:
        """Whether letters or receipts want to go into the log."""
        return bool(self._unmailed) or self._receipts_due

    # -- life ------------------------------------------------------------------------------

    def started(self) -> None:
        """Go on where we stopped: letters that nobody had answered go into the log."""
        if self._store.get(Table.META, _INDEXED) is None:
            self._search_log()
            self._store.put(Table.META, _INDEXED, b"1")
        self._unmailed += self._table.unanswered()
        self._receipts_wanted = bool(self._table.wanted_receipts(1))

    def _search_log(self) -> None:
        """An older meerkat kept and forwarded these operations, and gave them no effect."""
        for author, last in sorted(self._log.applied.items()):
            at = 1
            while at <= last:
                batch = self._store.operations(author, at, last, limit_bytes=_SLICE_BYTES)
                if not batch:
                    break
                at += len(batch)
                for operation in map(decode_operation, batch):
                    if operation.kind in TALK_KINDS:
                        self.apply(operation)
                    elif operation.kind == OperationKind.MEMBERSHIP:
                        self._roster.apply(operation)

    # -- what people ask -------------------------------------------------------------------

    def on_request(
        self, event: SayRequested | RenameRequested | EchoRequested, now: float, wall: float
    ) -> list[Effect]:
        """A person asks for something; ``Answered`` says what became of it."""
        try:
            match event:
                case SayRequested():
                    said, effects = self.say(event.text, event.to, now, wall)
                    return [*effects, Answered(event.ticket, {"id": said.hex()})]
                case RenameRequested():
                    self.rename(event.name, wall)
                    return [Answered(event.ticket, {"name": event.name.strip()})]
                case EchoRequested():
                    return self.echo(event, now, wall)
        except LetterError as error:
            return [Answered(event.ticket, problem=str(error))]

    def say(
        self, text: str, to: MemberId | None, now: float, wall: float
    ) -> tuple[bytes, list[Effect]]:
        """Say something to all (``to`` is None), or to one member.

        Returns:
            The line's id and what to do; operations it wrote are the newest of our log.

        Raises:
            LetterError: if it is empty or too long, or ``to`` cannot get letters.
        """
        text = clean_text(text)
        content = text.encode()
        if not text:
            raise LetterError("There is nothing to say.")
        if len(content) > MAX_TEXT_BYTES:
            raise LetterError(
                f"This is {len(content):,} bytes long, {MAX_TEXT_BYTES:,} can be said at once. "
                "Put it into a file."
            )
        if to is None:
            payload = encode_payload(Said(text))
            operation = self._replica.write_talk(OperationKind.SAID, payload, wall)
            return operation.hash[:_ID_BYTES], []
        if to not in self._roster.members:
            raise LetterError("Nobody in this pool has this id.")
        letter_id, effects = self._courier.send(to, LetterKind.TEXT, content, now, wall)
        line = Line(letter_id, self._member, bytes(to), text, _ms(wall), SENT)
        self._table.put_letter(self._log.lamport, _ms(wall), line)
        self._table.await_answer(letter_id)
        self._fresh.append((line, True))
        return letter_id, effects

    def rename(self, name: str, wall: float) -> None:
        """Be called ``name`` from now on.

        Raises:
            LetterError: if it cannot be a name.
        """
        name = name.strip()
        if not is_name(name):
            raise LetterError(
                f"A name has 1 to {MAX_NAME_CHARS} characters and none that cannot be shown."
            )
        self._replica.write_membership([MemberNamed(name)], wall)

    def echo(self, event: EchoRequested, now: float, wall: float) -> list[Effect]:
        """How far away is a member? Its courier answers; no person sees it.

        Raises:
            LetterError: if it cannot be sent.
        """
        letter_id, effects = self._courier.send(
            event.to, LetterKind.ECHO, bytes(max(0, event.size)), now, wall
        )
        self._echoes[letter_id] = event.ticket
        return effects

    # -- applied operations ----------------------------------------------------------------

    def apply(self, operation: Operation) -> None:
        """Something said takes effect. What is not understood has none."""
        member = self._roster.member_of(operation.author)
        if member is None:
            return
        try:
            match operation.kind:
                case OperationKind.SAID:
                    self._apply_said(operation, member)
                case OperationKind.MAIL:
                    self._apply_mail(operation, member, decode_mail(operation.payload))
                case OperationKind.RECEIPT:
                    self._apply_receipt(member, decode_receipt(operation.payload))
        except PayloadError:
            return

    def _apply_said(self, operation: Operation, member: MemberId) -> None:
        text = text_of(decode_said(operation.payload).text.encode())
        if not text:
            return
        line = Line(operation.hash[:_ID_BYTES], member, b"", text, operation.wall_ms)
        self._table.put_operation(operation, line)
        self._fresh.append((line, False))

    def _apply_mail(self, operation: Operation, member: MemberId, mail: Mail) -> None:
        if mail.to != self._member or member == self._member:
            return
        if self._table.letter(member, mail.id) is None:
            letter = open_letter(self._gate, self._open, mail.box)
            if letter is None or letter.member != member or letter.id != mail.id:
                return
            line = self._line_of(letter)
            if line is None:
                return
            self._table.put_operation(operation, line)
            self._fresh.append((line, False))
        self._table.want_receipt(operation.id)
        self._receipts_wanted = True

    def _apply_receipt(self, member: MemberId, receipt: Receipt) -> None:
        for author, sequence in receipt.mails:
            mail = (AuthorId(author), sequence)
            if member == self._member:
                self._table.put_receipt(mail)
                continue
            letter_id = self._table.mailed(mail)
            line = self._table.letter(self._member, letter_id) if letter_id else None
            if line is not None and line.to == member:
                self._arrived(line, hops=0, seconds=0.0)

    # -- deciding --------------------------------------------------------------------------

    def on_timer(self) -> list[Effect]:
        """Mails had time to gather: their receipt is due."""
        self._receipts_armed, self._receipts_due = False, True
        return []

    def settle(self, wall: float) -> list[Effect]:
        """Tell what is new, after applied operations and the courier's news."""
        for news in self._courier.take_news():
            self._hear(news, wall)
        for line, live in self._fresh:
            old = not live and wall - line.wall_ms / MS > self._config.old_after
            self._told.append(Notify("chat", _facts(self._chat_line(line, old=old))))
        self._fresh.clear()
        for one in self._roster.renamed:
            facts: Facts = {"member": one.member.hex(), "old": one.old, "name": one.name}
            self._told.append(Notify("renamed", facts))
        self._roster.renamed.clear()
        if self._receipts_wanted and not self._receipts_armed and not self._receipts_due:
            self._receipts_armed = True
            self._told.append(StartTimer(TIMER, self._receipt_delay()))
        told, self._told = self._told, []
        return told

    def _receipt_delay(self) -> float:
        homes = sum(1 for one in self._roster.authors.values() if one.member == self._member)
        spread = self._config.receipt_spread if homes > 1 else 0.0
        return self._config.receipt_after + self._rng.uniform(0.0, spread)

    def _hear(self, news: News, wall: float) -> None:
        match news:
            case Received():
                self._receive(news.letter, wall)
            case Delivered() if news.kind is LetterKind.ECHO:
                self._answer_echo(news)
            case Delivered():
                line = self._table.letter(self._member, news.id)
                if line is not None:
                    self._arrived(line, hops=news.hops, seconds=news.seconds)
            case Unreachable() if news.kind is LetterKind.ECHO:
                ticket = self._echoes.pop(news.id, None)
                if ticket is not None:
                    name = self._roster.shown_name(news.to)
                    problem = f"No answer from {name}: not here, or not reachable now."
                    self._told.append(Answered(ticket, problem=problem))
            case Unreachable():
                self._unmailed.append(news.id)

    def _receive(self, letter: Letter, wall: float) -> None:
        line = self._line_of(letter)
        if line is None or self._table.letter(line.member, line.id) is not None:
            return
        self._table.put_letter(self._log.lamport, _ms(wall), line)
        self._fresh.append((line, True))

    def _answer_echo(self, news: Delivered) -> None:
        ticket = self._echoes.pop(news.id, None)
        if ticket is None:
            return
        facts: Facts = {
            "seconds": news.seconds,
            "hops": news.hops,
            "back": news.back,
            "via": self._roster.name_of(news.via),
            "near": news.hops == 1,
        }
        self._told.append(Answered(ticket, facts))

    def _arrived(self, line: Line, *, hops: int, seconds: float) -> None:
        if line.state == DELIVERED:
            return
        self._table.set_state(line, DELIVERED)
        self._table.answered(line.id)
        facts: Facts = {
            "id": line.id.hex(),
            "to_name": self._roster.shown_name(MemberId(line.to)),
            "hops": hops,
            "seconds": seconds,
        }
        self._told.append(Notify("delivered", facts))

    def write(self, wall: float) -> list[Effect]:
        """Put into the log what has to lie there. Call only when ``has_to_write``.

        Operations it wrote are the newest of our log.
        """
        letters, self._unmailed = self._unmailed, []
        effects: list[Effect] = []
        for letter_id in letters:
            effects += self._mail(letter_id, wall)
        if self._receipts_due:
            self._receipts_due = False
            self._write_receipts(wall)
        return effects + self.settle(wall)

    def _mail(self, letter_id: bytes, wall: float) -> list[Effect]:
        """Sealed anew: we may be another author since it was first sent, with another voice."""
        line = self._table.letter(self._member, letter_id)
        if line is None or not self._table.awaits(letter_id):
            return []
        to = MemberId(line.to)
        try:
            box = write_letter(
                self._gate,
                self._seal,
                letter_id=letter_id,
                to=to,
                kind=LetterKind.TEXT,
                content=line.text.encode(),
                wall=line.wall_ms / MS,
            )
        except LetterError:
            return []
        payload = encode_payload(Mail(bytes(to), letter_id, box))
        operation = self._replica.write_talk(OperationKind.MAIL, payload, wall)
        self._table.set_state(line, MAILED)
        self._table.answered(letter_id)
        self._table.put_mail(operation.id, letter_id)
        facts: Facts = {"id": letter_id.hex(), "to_name": self._roster.shown_name(to)}
        return [Notify("waiting", facts)]

    def _write_receipts(self, wall: float) -> None:
        """One for all mails that want it; not while operations wait to be applied, since a receipt
        of our member from elsewhere may be among them.
        """
        if self._log.pending():
            return
        mails = self._table.wanted_receipts(MAX_RECEIPTS)
        if mails:
            payload = encode_payload(Receipt(tuple(mails)))
            self._replica.write_talk(OperationKind.RECEIPT, payload, wall)
        self._receipts_wanted = len(mails) == MAX_RECEIPTS

    # -- lines -----------------------------------------------------------------------------

    @property
    def _member(self) -> MemberId:
        member = self._roster.member_of(self._log.author)
        assert member is not None, "our own birth is the first thing in our roster"
        return member

    def _line_of(self, letter: Letter) -> Line | None:
        text = text_of(letter.content) if letter.kind is LetterKind.TEXT else None
        if not text:
            return None
        return Line(letter.id, letter.member, bytes(letter.to), text, letter.wall_ms)

    def _chat_line(self, line: Line, *, old: bool) -> ChatLine:
        name = self._roster.shown_name
        return ChatLine(
            id=line.id.hex(),
            member=line.member.hex(),
            name=name(MemberId(line.member)),
            to=line.to.hex(),
            to_name=name(MemberId(line.to)) if line.to else "",
            text=line.text,
            wall_ms=min(line.wall_ms, _LAST_MS),
            own=line.member == self._member,
            old=old,
        )


def _ms(wall: float) -> int:
    return max(0, int(wall * MS))


def _facts(line: ChatLine) -> Facts:
    return {
        "id": line.id,
        "from": line.member,
        "name": line.name,
        "to": line.to,
        "to_name": line.to_name,
        "text": line.text,
        "wall_ms": line.wall_ms,
        "own": line.own,
        "old": line.old,
    }
