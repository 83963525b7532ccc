from __future__ import annotations

from meerkat.core.events import BulkReceived, LinkDown, LinkId, LinkUp, MessageReceived, Started
from meerkat.core.ids import ContentHash, MemberId
from meerkat.core.messages import Ping
from meerkat.core.wire import encode, encode_chunks
from meerkat.node.inbox import Inbox

BOB, CAROL = LinkId(1), LinkId(2)
PING = Ping(1)


def make_inbox() -> tuple[Inbox, list[tuple[LinkId, str]]]:
    broken: list[tuple[LinkId, str]] = []
    return Inbox(lambda link, reason: broken.append((link, reason))), broken


def everything(inbox: Inbox) -> list[object]:
    return list(inbox.take(lambda: True))


def test_our_own_events_come_first():
    inbox, _ = make_inbox()
    inbox.put_frame(BOB, encode(PING))
    inbox.put(Started(1.0))

    assert everything(inbox) == [Started(1.0), MessageReceived(BOB, PING)]
    assert not inbox


def test_links_take_turns_so_that_a_flood_holds_up_nobody():
    inbox, _ = make_inbox()
    for _ in range(1000):
        inbox.put_frame(BOB, encode(PING))
    inbox.put_frame(CAROL, encode(PING))

    taken = inbox.take(lambda: True)

    assert next(taken) == MessageReceived(BOB, PING)
    assert next(taken) == MessageReceived(CAROL, PING)


def test_a_link_s_coming_and_going_keep_their_place_among_its_frames():
    inbox, _ = make_inbox()
    up = LinkUp(BOB, MemberId(bytes(32)), "somewhere:1", outbound=True)
    inbox.put_link(BOB, up)
    inbox.put_frame(BOB, encode(PING))
    inbox.put_link(BOB, LinkDown(BOB, "leave"))

    assert everything(inbox) == [up, MessageReceived(BOB, PING), LinkDown(BOB, "leave")]


def test_taking_stops_when_told():
    inbox, _ = make_inbox()
    inbox.put(Started(1.0))
    inbox.put(Started(2.0))

    assert list(inbox.take(lambda: False)) == [Started(1.0)]
    assert list(inbox.take(lambda: False)) == [Started(2.0)]
    assert list(inbox.take(lambda: False)) == []


def test_garbage_costs_its_link_what_waits_of_it_and_nothing_else():
    inbox, broken = make_inbox()
    inbox.put_frame(BOB, b"\xff garbage")
    inbox.put_frame(BOB, encode(PING))
    inbox.put_link(BOB, LinkDown(BOB, "protocol"))
    inbox.put_frame(CAROL, encode(PING))

    events = everything(inbox)

    assert broken == [(BOB, "malformed message")]
    assert MessageReceived(CAROL, PING) in events
    assert MessageReceived(BOB, PING) not in events
    assert LinkDown(BOB, "protocol") in events


def test_bulk_is_checked_and_its_bytes_are_counted_while_they_wait():
    inbox, broken = make_inbox()
    data = b"a chunk"
    chunk = ContentHash.of(data)
    good, bad = encode_chunks([(chunk, data)]), encode_chunks([(chunk, b"another")])
    inbox.put_bulk(BOB, good)
    inbox.put_bulk(CAROL, bad)

    assert inbox.bulk_bytes == len(good) + len(bad)
    assert everything(inbox) == [BulkReceived(BOB, ((chunk, data),))]
    assert broken == [(CAROL, "a chunk does not hash to its name")]
    assert inbox.bulk_bytes == 0


def test_waiting_counts_items_and_bytes_and_forgetting_frees_them():
    inbox, _ = make_inbox()
    inbox.put_frame(BOB, bytes(100))
    inbox.put_bulk(BOB, bytes(200))

    assert inbox.waiting(BOB) == (2, 300)

    inbox.forget_frames(BOB)

    assert inbox.waiting(BOB) == (0, 0)
    assert inbox.bulk_bytes == 0
    assert everything(inbox) == []
