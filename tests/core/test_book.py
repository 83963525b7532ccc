"""The address book: what is kept, for how long, and when somebody's turn is."""

from __future__ import annotations

from random import Random

from meerkat.core.book import Book, State
from meerkat.core.ids import AuthorId
from meerkat.core.messages import Contact
from meerkat.core.overlay_config import OverlayConfig
from meerkat.core.packing import pack
from meerkat.core.ports import Table
from meerkat.testing.memory_store import MemoryStore

WALL = 1_790_000_000.0
DAY = 86_400.0


def author(number: int) -> AuthorId:
    return AuthorId(number.to_bytes(32, "big"))


def contact(number: int, *, stamp: int = 1, at: str = "", dialable: bool = True) -> Contact:
    addresses = (at or f"host{number}:1",)
    return Contact(bytes(author(number)), addresses, dialable, stamp, bytes(64))


def book(store: MemoryStore | None = None, **config: object) -> Book:
    return Book(store, OverlayConfig(**config), Random(1))  # type: ignore[arg-type]


def test_a_newer_contact_replaces_an_older_one():
    one = book()
    assert one.hear(contact(1, stamp=5, at="old:1"))
    assert not one.hear(contact(1, stamp=5, at="same:1"))
    assert not one.hear(contact(1, stamp=4, at="older:1"))
    assert one.hear(contact(1, stamp=6, at="new:1"))

    entry = one.get(author(1))
    assert entry is not None
    assert one.addresses(entry) == ["new:1"]


def test_whom_nobody_can_dial_is_not_kept():
    one = book()

    assert not one.hear(contact(1, dialable=False))
    assert len(one) == 0


def test_hearsay_never_pushes_out_whom_we_met():
    one = book(book_size=16)
    for number in range(12):
        one.met(author(number), contact(number), (), WALL)
    for number in range(100, 200):
        one.hear(contact(number))

    assert len(one) == 12
    assert all(one.get(author(number)) is not None for number in range(12))


def test_the_book_is_bounded_and_a_quarter_is_kept_for_the_lost():
    one = book(book_size=16)
    for number in range(40):
        one.hear(contact(number))
    assert len(one) == 12
    for number in range(100, 140):
        one.met(author(number), contact(number), (), WALL + number)
        one.lost(author(number), 1.0, WALL + number, eager=True)

    assert len(one.of_state(State.LOST)) == 4
    assert len(one) <= 16
    newest = {author(number) for number in range(136, 140)}
    assert {entry.author for entry in one.of_state(State.LOST)} == newest


def test_everybody_linked_stays_even_if_there_are_too_many():
    one = book(book_size=8)
    for number in range(20):
        one.met(author(number), contact(number), (), WALL)

    assert len(one) == 20


def test_back_off_while_links_are_lacking():
    """Eager for a neighbor lost just now; up to half a minute for others."""
    one = book()
    for number in (1, 2):
        one.met(author(number), contact(number), (), WALL)
        one.lost(author(number), 100.0, WALL, eager=True)
    one.hear(contact(3))
    now = 100.0
    for _ in range(20):
        for number in (1, 3):
            one.failed(author(number), now, needy=True)
        now += 1.0
    lost, heard = one.get(author(1)), one.get(author(3))
    assert lost is not None
    assert heard is not None
    assert lost.next_try - now <= 0.5
    assert 20 <= heard.next_try - now <= 30

    one.failed(author(1), now + 600, needy=True)
    assert lost.delay > 0.5, "eager for ten minutes only"


def test_probes_of_the_lost_back_off_to_ten_minutes():
    one = book()
    one.met(author(1), contact(1), (), WALL)
    one.lost(author(1), 0.0, WALL, eager=True)
    entry = one.get(author(1))
    assert entry is not None
    delays = []
    for _ in range(8):
        one.failed(author(1), 0.0, needy=False)
        delays.append(entry.delay)

    assert delays == [10, 20, 40, 80, 160, 320, 600, 600]


def test_lacking_links_again_means_no_long_waits():
    one = book()
    one.met(author(1), contact(1), (), WALL)
    one.lost(author(1), 0.0, WALL, eager=True)
    for _ in range(8):
        one.failed(author(1), 700.0, needy=False)
    entry = one.get(author(1))
    assert entry is not None
    assert entry.next_try > 900
    one.hurry(710.0)
    assert entry.next_try <= 740
    one.hurry(710.0, all_lost=True)
    assert entry.next_try == 710
    assert one.eager(entry, 720.0)


def test_several_addresses_of_one_author_are_tried_in_turn():
    one = book()
    one.tell(author(1), ["a:1", "b:1"])
    entry = one.get(author(1))
    assert entry is not None
    seen = []
    for _ in range(4):
        addresses = one.addresses(entry)
        seen.append(addresses[entry.turn % len(addresses)])
        one.failed(author(1), 0.0, needy=True)

    assert seen == ["a:1", "b:1", "a:1", "b:1"]


def test_an_address_where_somebody_else_answered_is_not_believed_any_more():
    """Until its author says so again, later."""
    one = book()
    one.hear(contact(1, stamp=1_000, at="here:1"))
    one.tell(author(2), ["here:1", "there:1"])
    one.found("here:1", author(3), wall=2.0)
    first, second = one.get(author(1)), one.get(author(2))
    assert first is not None
    assert second is not None
    assert one.addresses(first) == []
    assert one.addresses(second) == ["there:1"]

    one.hear(contact(1, stamp=3_000, at="here:1"))
    assert one.addresses(first) == ["here:1"]


def test_who_was_met_and_fails_three_times_is_lost():
    one = book()
    one.met(author(1), contact(1), (), WALL)
    one.lost(author(1), 0.0, WALL, eager=False)
    entry = one.get(author(1))
    assert entry is not None
    assert one.of_state(State.TRIED) == [entry], "it said goodbye"
    for _ in range(3):
        one.failed(author(1), 0.0, needy=False)
    assert one.of_state(State.LOST) == [entry]


def test_lost_ones_are_forgotten_after_thirty_days():
    one = book()
    one.met(author(1), contact(1), (), WALL)
    one.lost(author(1), 0.0, WALL, eager=True)

    assert one.next_lost(1.0, WALL + 29 * DAY) is not None
    assert one.next_lost(1.0, WALL + 31 * DAY) is None
    assert len(one) == 0


def test_the_one_that_has_waited_longest_is_probed():
    one = book()
    for number in (1, 2, 3):
        one.met(author(number), contact(number), (), WALL)
        one.lost(author(number), float(number), WALL, eager=True)
    due = one.next_lost(10.0, WALL)
    assert due is not None
    assert due.author == author(1)


def test_what_is_handed_out_did_not_fail_us():
    one = book()
    for number in range(20):
        one.hear(contact(number))
    for number in range(10):
        one.failed(author(number), 0.0, needy=False)
    handed = {bytes(entry.author) for _ in range(20) for entry in one.sample(8)}

    assert handed
    assert handed <= {bytes(author(number)) for number in range(10, 20)}


def test_the_store_keeps_the_book():
    store = MemoryStore()
    with store.transaction():
        one = book(store)
        one.hear(contact(1, stamp=7))
        one.met(author(2), contact(2), ("seen:2",), WALL)
        one.met(author(3), contact(3), (), WALL)
        one.lost(author(3), 0.0, WALL, eager=True)
        one.hear(contact(4))
        one.forget(author(4))
    again = book(store)

    states = {entry.author: entry.state for entry in again}
    assert states == {
        author(1): State.HEARD,
        author(2): State.TRIED,
        author(3): State.LOST,
    }
    entry = again.get(author(2))
    assert entry is not None
    assert again.addresses(entry) == ["host2:1", "seen:2"]
    assert entry.last_ok == WALL


def test_the_old_format_of_the_store_is_read():
    store = MemoryStore()
    with store.transaction():
        store.put(Table.ADDRESS, author(1), pack(["a:1", "b:2"]))
        store.put(Table.ADDRESS, author(2), pack([]))
        store.put(Table.ADDRESS, author(3), pack({"later": "version"}))
    one = book(store)
    entry = one.get(author(1))
    assert entry is not None
    assert one.addresses(entry) == ["a:1", "b:2"]
    assert one.get(author(3)) is None


def test_contacts_of_strangers_wait_and_are_bounded():
    one = book()
    for number in range(200):
        one.wonder(contact(number))

    assert len(one.strangers) == 64
    assert len(one.take_strangers()) == 64
    assert not one.strangers
