"""What people say arrives once, in order, by its true speaker, by link or by log; and names."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat.core.actions import (
    Mail,
    MemberAdded,
    MemberNamed,
    MembershipAction,
    Receipt,
    Said,
    decode_mail,
    encode_payload,
)
from meerkat.core.events import EchoRequested, RenameRequested, SayRequested
from meerkat.core.ids import MemberId
from meerkat.core.letters import MAX_TEXT_BYTES, LetterError, LetterKind, write_letter
from meerkat.core.log import Log
from meerkat.core.operation import OperationKind, decode_operation
from meerkat.core.ports import Table
from meerkat.core.roster import MemberRecord, Roster
from meerkat.core.sealed import opener
from meerkat.core.signing import SigningKey
from meerkat.errors import UnknownMember
from tests.core.replicas import WALL, make_pool, seed_of
from tests.core.talkers import Street, Talker, newcomer


def kinds(person: Talker, *wanted: OperationKind) -> list:
    """Operations of these kinds that a person has, whoever wrote them."""
    found = [decode_operation(data) for data in person.party.operations()]
    return [one for one in found if one.kind in wanted]


def inject(person: Talker, kind: OperationKind, payload: bytes) -> None:
    """What a hostile member may write into its own log."""

    def write() -> None:
        person.party.replica.log.write(kind, payload, person.wall)

    person.handle(write)


# ---------------------------------------------------------------------------------- to everyone


def test_a_line_for_all_reaches_all_in_the_log():
    street = Street(3)
    alice, bob, carol = street.people
    said = alice.say("good morning")
    street.exchange()
    bob.say("you too")
    street.exchange()

    for one in (alice, bob, carol):
        assert one.lines() == [("alice", "", "good morning"), ("bob", "", "you too")]
    (chat, _) = carol.notices("chat")
    assert chat == {
        "id": said.hex(),
        "from": alice.member.hex(),
        "name": "alice",
        "to": "",
        "to_name": "",
        "text": "good morning",
        "wall_ms": int(WALL * 1000),
        "own": False,
        "old": False,
    }
    assert [one["own"] for one in alice.notices("chat")] == [True, False]


def test_history_is_in_causal_order_whatever_the_order_of_arrival():
    street = Street(3)
    alice, bob, carol = street.people
    for number in range(3):
        alice.say(f"question {number}")
        street.exchange(alice, bob)
        bob.say(f"answer {number}")
        street.exchange(alice, bob)
    street.exchange(bob, carol)

    assert carol.lines() == bob.lines() == alice.lines()
    assert [text for *_, text in carol.lines()] == [
        f"{what} {number}" for number in range(3) for what in ("question", "answer")
    ]
    assert [text for *_, text in carol.lines(2)] == ["question 2", "answer 2"]
    assert carol.lines(0) == []


def test_a_newcomer_gets_the_history_quietly():
    street = Street(2)
    alice, bob = street.people
    for number in range(30):
        alice.say(f"line {number}")
    street.now += 3600
    bob.say("just now")
    dave = newcomer(street, "dave")
    street.exchange(alice, bob, dave)

    assert len(dave.lines()) == 31
    old = [one["old"] for one in dave.notices("chat")]
    assert (old.count(True), old.count(False)) == (30, 1)


def test_the_history_survives_a_restart():
    street = Street(2)
    alice, bob = street.people
    street.link(alice, bob)
    alice.say("to all")
    street.exchange()
    alice.say("to you", bob)
    street.run(1)
    before = bob.lines()
    bob.told.clear()
    bob.load()

    assert bob.lines() == before == [("alice", "", "to all"), ("alice", "bob", "to you")]
    assert bob.told == []  # nothing is said twice
    street.exchange()
    assert bob.notices("chat") == []


def test_what_cannot_be_said_is_refused_with_a_sentence():
    street = Street(2)
    alice, bob = street.people
    for text in ("", "  \n ", "\r\n"):
        with pytest.raises(LetterError, match="nothing to say"):
            alice.say(text)
    with pytest.raises(LetterError, match="Put it into a file"):
        alice.say("é" * (MAX_TEXT_BYTES // 2 + 1))
    with pytest.raises(LetterError, match="That is you"):
        alice.say("hello", alice)
    alice.say("é" * (MAX_TEXT_BYTES // 2))
    street.exchange()
    assert len(bob.lines()) == 1


def test_a_line_of_others_is_made_harmless_and_bounded():
    street = Street(2)
    alice, bob = street.people
    inject(alice, OperationKind.SAID, encode_payload(Said("clear\x1b[2Jscreen")))
    inject(alice, OperationKind.SAID, encode_payload(Said("é" * MAX_TEXT_BYTES)))  # bytes: twice
    inject(alice, OperationKind.SAID, encode_payload(Said(" \n ")))
    inject(alice, OperationKind.SAID, b"\x01garbage")
    inject(alice, OperationKind.MAIL, b"\x00\xc0")
    inject(alice, OperationKind.RECEIPT, b"")
    street.exchange()

    assert bob.lines() == [("alice", "", "clear\ufffd[2Jscreen")]


# -------------------------------------------------------------------------------------- to one


def test_a_direct_line_arrives_and_is_acknowledged():
    street = Street(3)
    alice, bob, carol = street.people
    street.link(alice, bob)
    street.link(bob, carol)
    said = alice.say("a word", carol)
    street.run(1)

    for one in (alice, carol):
        assert one.lines() == [("alice", "carol", "a word")]
    assert bob.lines() == []
    (delivered,) = alice.notices("delivered")
    assert delivered == {"id": said.hex(), "to_name": "carol", "hops": 2, "seconds": 0.0}
    assert carol.notices("chat")[0]["old"] is False
    street.run(30)
    assert alice.notices("waiting") == []
    assert kinds(alice, OperationKind.MAIL) == []


def test_without_links_the_letter_waits_in_the_log_at_once():
    street = Street(3)
    alice, bob, carol = street.people
    said = alice.say("when you come", bob)
    assert alice.notices("waiting") == [{"id": said.hex(), "to_name": "bob"}]

    street.exchange(alice, carol)  # who carries it and cannot read it
    assert carol.lines() == []
    street.now += 3600
    street.exchange(carol, bob)
    assert bob.lines() == [("alice", "bob", "when you come")]
    assert bob.notices("chat")[0]["old"] is True
    assert kinds(bob, OperationKind.RECEIPT) == []
    street.run(5)
    assert len(kinds(bob, OperationKind.RECEIPT)) == 1
    street.exchange(bob, alice)
    (delivered,) = alice.notices("delivered")
    assert (delivered["id"], delivered["to_name"]) == (said.hex(), "bob")
    assert alice.lines() == [("alice", "bob", "when you come")]


def test_mails_share_a_receipt():
    street = Street(2)
    alice, bob = street.people
    for number in range(20):
        alice.say(f"line {number}", bob)
    street.exchange()
    street.run(5)
    street.exchange()
    street.run(5)

    assert len(kinds(bob, OperationKind.RECEIPT)) == 1
    assert len(alice.notices("delivered")) == 20
    assert [text for *_, text in bob.lines()] == [f"line {number}" for number in range(20)]


def test_an_unanswered_letter_goes_into_the_log_after_eight_seconds():
    street = Street(3)
    alice, bob, carol = street.people
    street.link(alice, carol)
    (link,) = alice.links
    alice.courier.learn(bob.party.author, link, 0.0)  # carol had a link to bob once
    carol.courier.on_direct = lambda *_: []  # type: ignore[method-assign]
    alice.say("are you there?", bob)
    street.run(7.9)
    assert alice.notices("waiting") == []
    street.run(0.2)
    assert len(alice.notices("waiting")) == 1


def test_a_letter_that_came_both_ways_is_shown_once():
    """The acknowledgement is lost: live first, then by mail."""
    street = Street(2)
    alice, bob = street.people
    street.link(alice, bob)
    on_direct = bob.courier.on_direct

    def swallow_the_answer(link, message, now, wall):
        on_direct(link, message, now, wall)
        return []

    bob.courier.on_direct = swallow_the_answer  # type: ignore[method-assign]
    said = alice.say("twice", bob)
    street.run(9)
    assert len(alice.notices("waiting")) == 1
    assert len(bob.lines()) == 1
    street.exchange()
    street.run(5)
    street.exchange()

    assert bob.lines() == [("alice", "bob", "twice")]
    assert len(bob.notices("chat")) == 1
    (delivered,) = alice.notices("delivered")  # the receipt answers for both
    assert delivered["id"] == said.hex()


def test_mail_first_and_live_late_is_shown_once():
    street = Street(3)
    alice, bob, carol = street.people
    street.link(alice, carol)  # carol keeps what she should carry
    street.link(carol, bob)
    kept = []

    def keep(link, message, now, wall):
        kept.append(message)
        return []

    carol.courier.on_direct = keep  # type: ignore[method-assign]
    alice.say("late", bob)
    street.run(9)
    street.exchange()
    street.run(5)
    assert len(bob.lines()) == 1
    for message in kept:
        bob.receive(carol, message)
    street.run(5)

    assert len(bob.lines()) == 1
    assert len(bob.notices("chat")) == 1


def test_a_letter_on_its_way_survives_a_restart_of_its_writer():
    street = Street(3)
    alice, bob, carol = street.people
    street.link(alice, carol)
    alice.say("do not lose this", bob)
    street.run(1)
    alice.load()
    assert len(alice.notices("waiting")) == 1
    street.exchange()

    assert bob.lines() == alice.lines() == [("alice", "bob", "do not lose this")]


def test_a_wanted_receipt_survives_a_restart_of_its_reader():
    street = Street(2)
    alice, bob = street.people
    alice.say("hello", bob)
    street.exchange()
    bob.load()
    street.run(5)
    street.exchange()
    assert len(alice.notices("delivered")) == 1


def test_requests_are_answered_by_their_ticket():
    street = Street(3)
    alice, bob, carol = street.people
    street.link(alice, bob)

    def ask(event) -> None:
        alice.handle(lambda: alice.talk.on_request(event, street.now, alice.wall))

    ask(SayRequested(1, "hello"))
    ask(SayRequested(2, "hello", bob.member))
    ask(SayRequested(3, ""))
    ask(SayRequested(4, "hello", MemberId(bytes(32))))
    ask(RenameRequested(5, " Alice the Great "))
    ask(RenameRequested(6, "\x1b[1m"))
    ask(EchoRequested(7, bob.member, size=1000))
    ask(EchoRequested(8, carol.member))
    ask(EchoRequested(9, alice.member))
    ask(EchoRequested(10, bob.member, size=10**9))
    street.run(20)

    problems = {ticket: one.problem for ticket, one in alice.answers.items()}
    assert sorted(problems) == list(range(1, 11))
    assert [ticket for ticket, problem in problems.items() if not problem] == [1, 2, 5, 7]
    assert "nothing to say" in problems[3]
    assert "1 to 64 characters" in problems[6]
    assert problems[8].startswith("No answer from carol")
    facts = alice.answers[7].facts
    assert facts == {"seconds": 0.0, "hops": 1, "back": 1, "via": "bob", "near": True}
    assert bytes.fromhex(str(alice.answers[1].facts["id"]))
    assert [one.text for one in bob.history()] == ["hello"]  # the echo was seen by nobody


# ----------------------------------------------------------------------- several installations


def test_each_installation_reads_mail_and_one_answers():
    street = Street(2)
    alice, bob = street.people
    second = street.second_home(bob)
    alice.say("to you both", bob)
    street.exchange()
    assert bob.lines() == second.lines() == [("alice", "bob", "to you both")]
    for _ in range(20):  # whoever is first is heard before the other would answer
        street.run(0.2)
        street.exchange()

    assert len(kinds(alice, OperationKind.RECEIPT)) == 1
    assert len(alice.notices("delivered")) == 1


def test_a_new_installation_does_not_answer_again():
    street = Street(2)
    alice, bob = street.people
    alice.say("long ago", bob)
    street.exchange()
    street.run(5)
    street.exchange()
    second = street.second_home(bob)
    street.run(10)
    street.exchange()

    assert second.lines() == [("alice", "bob", "long ago")]
    assert len(kinds(alice, OperationKind.RECEIPT)) == 1


def test_a_line_is_our_own_whichever_installation_said_it():
    street = Street(2)
    _, bob = street.people
    second = street.second_home(bob)
    second.say("from elsewhere")
    street.exchange()

    assert [(one.name, one.own) for one in bob.history()] == [("bob", True)]


# ------------------------------------------------------------------------------- hostile members


def mail_of(writer: Talker, to: Talker, text: str, letter_id: bytes) -> Mail:
    box = write_letter(
        writer.gate,
        writer.talk._seal,
        letter_id=letter_id,
        to=to.member,
        kind=LetterKind.TEXT,
        content=text.encode(),
        wall=writer.wall,
    )
    return Mail(bytes(to.member), letter_id, box)


def test_mail_is_its_authors_letter_or_nothing():
    street = Street(3)
    alice, bob, mallory = street.people
    real = mail_of(alice, bob, "real", b"0123456789abcdef")
    stolen = encode_payload(real)
    renamed = encode_payload(Mail(real.to, b"another id 16 by", real.box))
    redirected = encode_payload(Mail(bytes(mallory.member), real.id, real.box))
    for payload in (stolen, redirected):
        inject(mallory, OperationKind.MAIL, payload)  # alice's letter in mallory's log
    inject(alice, OperationKind.MAIL, renamed)
    inject(mallory, OperationKind.MAIL, encode_payload(Mail(real.to, real.id, b"garbage")))
    street.exchange()
    street.run(5)
    assert bob.lines() == mallory.lines() == []
    assert kinds(bob, OperationKind.RECEIPT) == []

    inject(alice, OperationKind.MAIL, stolen)  # the true one still arrives
    street.exchange()
    assert bob.lines() == [("alice", "bob", "real")]


def test_a_letter_under_a_borrowed_id_hides_nothing():
    """Mallory saw the id of alice's letter pass, and writes to bob under the same."""
    street = Street(3)
    alice, bob, mallory = street.people
    inject(
        mallory,
        OperationKind.MAIL,
        encode_payload(mail_of(mallory, bob, "first!", b"0123456789abcdef")),
    )
    inject(
        alice, OperationKind.MAIL, encode_payload(mail_of(alice, bob, "mine", b"0123456789abcdef"))
    )
    street.exchange()

    assert sorted(text for *_, text in bob.lines()) == ["first!", "mine"]


def test_only_the_reader_gives_a_receipt():
    street = Street(3)
    alice, bob, mallory = street.people
    alice.say("for bob", bob)
    (mail,) = kinds(alice, OperationKind.MAIL)
    street.exchange(alice, mallory)
    forged = Receipt(((bytes(mail.author), mail.sequence), (bytes(32), 1)))
    inject(mallory, OperationKind.RECEIPT, encode_payload(forged))
    street.exchange(alice, mallory)
    assert alice.notices("delivered") == []

    street.exchange()
    street.run(5)
    street.exchange()
    assert len(alice.notices("delivered")) == 1


def test_mail_can_be_read_by_its_member_alone():
    street = Street(3)
    alice, bob, carol = street.people
    alice.say("secret", bob)
    (operation,) = kinds(alice, OperationKind.MAIL)
    mail = decode_mail(operation.payload)

    assert b"secret" not in operation.data
    assert carol.talk._open(mail.box) is None
    assert alice.talk._open(mail.box) is None
    assert opener(bob.party.identity.key.seed)(mail.box) is not None


# ---------------------------------------------------------------------------------------- names


def test_a_rename_reaches_all_and_is_told():
    street = Street(3)
    alice, bob, _ = street.people
    alice.say("hello")
    street.exchange()
    alice.rename("Alice the Great")
    street.exchange()

    expected = {"member": alice.member.hex(), "old": "alice", "name": "Alice the Great"}
    for one in street.people:
        assert one.notices("renamed") == [expected]
        assert one.roster.name_of(alice.party.author) == "Alice the Great"
        assert one.lines() == [("Alice the Great", "", "hello")]
    bob.load()
    assert bob.roster.shown_name(alice.member) == "Alice the Great"


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "two\nlines", "\x1b[31m", "\u202e"])
def test_bad_names_are_refused(name: str):
    street = Street(1)
    (alice,) = street.people
    with pytest.raises(LetterError, match="1 to 64"):
        alice.rename(name)


def test_bad_names_of_others_have_no_effect():
    street = Street(2)
    alice, bob = street.people
    for name in ("two\nlines", "\x1b[31m", " ", "x" * 65):
        actions: list[MembershipAction] = [MemberNamed(name)]
        payload = encode_payload(actions)
        inject(alice, OperationKind.MEMBERSHIP, payload)
    street.exchange()

    assert bob.roster.shown_name(alice.member) == "alice"


def test_the_last_rename_wins_in_any_order_of_application():
    """Two installations of one member rename it at once; every peer ends with the same name."""
    street = Street(2)
    _, bob = street.people
    second = street.second_home(bob)
    bob.rename("Robert")
    second.rename("Bobby")
    second.rename("Bobby Tables")
    renames = [
        one
        for person in (bob, second)
        for one in kinds(person, OperationKind.MEMBERSHIP)
        if one.author == person.party.author
    ]
    assert len(renames) == 3
    names = set()
    for order in permutations(renames):
        party = make_pool(2)[0]
        with party.store.transaction():
            roster = Roster(party.store, bob.roster.pool)
            roster.authors.update(street.people[-1].roster.authors)
            for operation in order:
                roster.apply(operation)
            names.add(roster.shown_name(bob.member))
    assert len(names) == 1
    street.exchange()
    assert {one.roster.shown_name(bob.member) for one in street.people} == names


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["x", "y", "exchange"])), max_size=8))
def test_names_converge(steps: list[tuple[int, str]]):
    street = Street(3)
    for who, what in steps:
        if what == "exchange":
            street.exchange(street.people[who], street.people[(who + 1) % 3])
        else:
            street.people[who].rename(what)
    street.exchange()

    names = [
        [one.roster.shown_name(other.member) for other in street.people] for one in street.people
    ]
    assert names[0] == names[1] == names[2]


def test_members_of_one_name_are_told_apart():
    street = Street(3)
    alice, bob, carol = street.people
    carol.rename("Bob")
    street.exchange()
    roster = alice.roster

    assert roster.shown_name(bob.member) == f"bob ({bob.member.short()})"
    assert roster.shown_name(carol.member) == f"Bob ({carol.member.short()})"
    assert roster.shown_name(alice.member) == "alice"
    assert roster.shown_name(MemberId(b"?" * 32)) == MemberId(b"?" * 32).short()
    with pytest.raises(UnknownMember, match=r"may be bob \(.*Bob \(|may be Bob \(.*bob \("):
        roster.find("BOB")
    assert roster.find(f"BOB ({carol.member.short()})") == carol.member
    assert roster.find(bob.member.hex()[:8]) == bob.member
    carol.rename("Carol")
    street.exchange()
    assert roster.find("bob") == bob.member
    assert roster.shown_name(bob.member) == "bob"


def test_members_are_found_by_name_or_prefix():
    street = Street(2)
    alice, bob = street.people

    assert alice.roster.find("Bob") == alice.roster.find("@bob") == bob.member
    assert alice.roster.find(bob.member.hex()[:4].upper()) == bob.member
    for unknown in ("", "carol", bob.member.hex()[:3]):
        with pytest.raises(UnknownMember, match="The members are: alice, bob"):
            alice.roster.find(unknown)


def test_a_name_given_by_others_is_shown_in_one_harmless_line():
    street = Street(1)
    (alice,) = street.people
    stranger = MemberId(SigningKey(seed_of("x", "member")).public)

    def add() -> None:
        action = MemberAdded(bytes(stranger), "writer", "\x1b[2J\nroot")
        alice.party.replica.write_membership([action], alice.wall)

    alice.handle(add)
    assert alice.roster.shown_name(stranger) == "\ufffd[2J root"


# ------------------------------------------------------------------------- old stores and peers


def test_a_store_of_an_older_meerkat_learns_what_it_kept():
    """Operations that it forwarded, and gave no effect, take effect once."""
    street = Street(2)
    alice, bob = street.people
    alice.say("to all")
    alice.say("to bob", bob)
    alice.rename("Alice")
    old = bob.party
    with old.store.transaction():  # as if bob's meerkat knew none of it
        log = Log(
            old.store, bob.roster, SigningKey(seed_of("bob", "author")), old.replica.log._config
        )
        log.admit(alice.party.operations())
        for _ in log.ready(1000):
            pass
        old.store.delete(Table.META, b"talk/indexed")
    bob.told.clear()
    bob.load()

    assert bob.lines() == [("Alice", "", "to all"), ("Alice", "bob", "to bob")]
    assert len(bob.notices("chat")) == 2
    street.run(5)
    street.exchange()
    assert len(alice.notices("delivered")) == 1
    bob.told.clear()
    bob.load()
    assert bob.notices("chat") == []


def test_a_member_record_of_an_older_meerkat_is_read():
    party = make_pool(1)[0]
    member = party.identity.member
    with party.store.transaction():
        party.store.put(Table.MEMBER, member, b"\x92\xa5owner\xa5alice")
    roster = Roster(party.store, party.replica.roster.pool)

    assert roster.members[member] == MemberRecord("owner", "alice")


def test_operations_of_unknown_kinds_are_kept():
    street = Street(2)
    alice, bob = street.people

    def write() -> None:
        alice.party.replica.log.write(999, b"from the future", alice.wall)  # type: ignore[arg-type]

    alice.handle(write)
    alice.say("still here")
    street.exchange()
    assert bob.lines() == [("alice", "", "still here")]
