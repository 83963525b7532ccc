"""The overlay: who becomes a neighbor and as what, and pools that stay whole whatever happens."""

from __future__ import annotations

import statistics
from dataclasses import replace
from itertools import pairwise
from random import Random

import msgspec
import pytest

from meerkat.core.contact import proof_of_join
from meerkat.core.effects import CloseLink, Dial, Effect, Notify, Send, StartTimer
from meerkat.core.events import DialFailed, Discovered, LinkId, LinkUp
from meerkat.core.ids import AuthorId, MemberId, PoolId
from meerkat.core.messages import (
    Beacon,
    Beat,
    Contact,
    Contacts,
    Hello,
    Intent,
    JoinHint,
    JoinRequest,
    MergeHint,
    Message,
    WalkKind,
)
from meerkat.core.overlay import Greeted, Kind, Overlay, OverlayConfig, Phase
from meerkat.core.wire import PROTOCOL_VERSION
from meerkat.testing.memory_store import MemoryStore
from tests.core.overlay_harness import (
    POOL,
    WALL,
    Net,
    Node,
    OpenGate,
    Pool,
    contact_of,
)

REQUEST = bytes(range(16))


class Desk:
    """One overlay; the test plays everyone else."""

    def __init__(self, size: int = 100, **config: object) -> None:
        self.keys = Pool(limit=size)
        self.gate = OpenGate(self.keys, self.keys.enroll(0))
        self.now = 0.0
        rng = Random(1)
        settings = OverlayConfig(**config)  # type: ignore[arg-type]
        self.overlay = Overlay(self.gate, None, settings, rng, rng.randbytes)
        self.overlay.listening(("me:1",), 0.0, WALL)
        self.next_link = 0

    @property
    def wall(self) -> float:
        return WALL + self.now

    def author(self, number: int) -> AuthorId:
        return self.keys.enroll(number)

    def contact(self, number: int, *, stamp: int = 1) -> Contact:
        return contact_of(self.keys, self.author(number), f"n{number}:1", stamp)

    def up(self, number: int, *, outbound: bool = False) -> tuple[LinkId, list[Effect]]:
        self.next_link += 1
        link = LinkId(self.next_link)
        address = f"n{number}:1" if outbound else f"from n{number}"
        event = LinkUp(link, MemberId(self.author(number)), address, outbound)
        return link, self.overlay.link_up(event, self.now)

    def hello(
        self,
        number: int,
        intent: Intent = Intent.NONE,
        *,
        degree: int = 5,
        beacon: Beacon | None = None,
        request: bytes = b"",
        contacts: tuple[Contact, ...] = (),
        dialable: bool = True,
    ) -> Hello:
        author = self.author(number)
        proof = OpenGate(self.keys, author).sign(proof_of_join(POOL, request)) if request else b""
        contact = self.contact(number)
        if not dialable:
            contact = contact_of(self.keys, author, None)
        return Hello(
            PROTOCOL_VERSION,
            bytes(POOL),
            bytes(author),
            b"\0",
            f"n{number}",
            contact,
            intent,
            request,
            proof,
            degree,
            beacon,
            b"",
            (),
            contacts,
        )

    def call(self, number: int, intent: Intent = Intent.LINK, **facts: object) -> Greeted:
        """Somebody dials us."""
        link, _ = self.up(number)
        hello = self.hello(number, intent, **facts)  # type: ignore[arg-type]
        return self.overlay.on_hello(link, hello, self.now, self.wall)

    def fill(self, count: int, *, degree: int = 5, first: int = 1000) -> None:
        for number in range(first, first + count):
            assert self.call(number, degree=degree).linked

    def hear(self, link: LinkId, message: Message) -> list[Effect]:
        return self.overlay.on_message(link, message, self.now, self.wall)  # type: ignore[arg-type]

    def decide(self) -> list[Effect]:
        return self.overlay.evaluate(self.now, self.wall)

    def wait(self, seconds: float) -> list[Effect]:
        self.now += seconds
        self.overlay.on_timer("overlay", self.now, self.wall)
        return self.decide()

    def link_to(self, number: int) -> LinkId:
        link = self.overlay.link_of(self.author(number))
        assert link is not None
        return link.id

    def kind_of(self, number: int) -> Kind:
        link = self.overlay.link_of(self.author(number))
        assert link is not None
        return link.kind


def sent(effects: list[Effect], kind: type[object]) -> list[Send]:
    return [one for one in effects if isinstance(one, Send) and isinstance(one.message, kind)]


def dialled(effects: list[Effect]) -> list[Dial]:
    return [one for one in effects if isinstance(one, Dial)]


def closed(effects: list[Effect]) -> list[str]:
    return [one.reason for one in effects if isinstance(one, CloseLink)]


# ---------------------------------------------------------------------------------------- handshake


def test_the_dialler_says_hello_first_and_why():
    one = Desk()
    one.overlay.discovered(Discovered(one.author(1), ("n1:1",)), one.now)
    (dial,) = dialled(one.decide())
    assert dial.address == "n1:1"
    link, effects = one.up(1, outbound=True)
    (send,) = sent(effects, Hello)
    hello = send.message
    assert isinstance(hello, Hello)
    assert hello.intent is Intent.JOIN
    assert hello.contact == one.overlay.own_contact(one.wall)

    greeted = one.overlay.on_hello(link, one.hello(1), one.now, one.wall)
    assert greeted.linked
    assert not sent(greeted.effects, Hello), "its hello was the answer"
    assert [neighbor.author for neighbor in one.overlay.linked] == [one.author(1)]


def test_who_was_dialled_accepts_by_its_hello():
    one = Desk()
    link, effects = one.up(1)
    assert not sent(effects, Hello)
    greeted = one.overlay.on_hello(link, one.hello(1, Intent.LINK), one.now, one.wall)

    assert greeted.linked
    assert greeted.author == one.author(1)
    (send,) = sent(greeted.effects, Hello)
    assert send.link == link
    assert isinstance(send.message, Hello)
    assert send.message.intent is Intent.NONE


def test_strangers_and_we_ourselves_are_refused():
    one = Desk()
    link, _ = one.up(1)
    other = msgspec.structs.replace(one.hello(1), pool=bytes(PoolId(b"x" * 32)))
    assert closed(one.overlay.on_hello(link, other, 0.0, WALL).effects) == ["other pool"]

    link, _ = one.up(0)
    assert closed(one.overlay.on_hello(link, one.hello(0), 0.0, WALL).effects) == ["myself"]

    one.gate.strangers.add(bytes(one.author(3)))
    assert closed(one.call(3).effects) == ["not a member"]
    assert one.overlay.linked == []


def test_a_contact_in_another_name_is_no_credential():
    one = Desk()
    link, _ = one.up(1)
    hello = msgspec.structs.replace(one.hello(1, Intent.LINK), contact=one.contact(2))
    assert closed(one.overlay.on_hello(link, hello, 0.0, WALL).effects) == ["credentials"]

    link, _ = one.up(1)
    moved = msgspec.structs.replace(one.contact(1), addresses=("evil:1",))
    hello = msgspec.structs.replace(one.hello(1, Intent.LINK), contact=moved)
    assert closed(one.overlay.on_hello(link, hello, 0.0, WALL).effects) == ["credentials"]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_of_two_connections_the_one_dialled_by_the_smaller_survives(number):
    one = Desk()
    one.overlay.discovered(Discovered(one.author(number), (f"n{number}:1",)), 0.0)
    one.decide()
    ours, _ = one.up(number, outbound=True)
    theirs, _ = one.up(number)
    first = one.overlay.on_hello(theirs, one.hello(number, Intent.LINK), 0.0, WALL)
    second = one.overlay.on_hello(ours, one.hello(number), 0.0, WALL)

    assert first.linked
    smaller = one.gate.author < one.author(number)
    assert second.linked == smaller
    assert closed(second.effects) == (["replaced"] if smaller else ["duplicate"])
    assert [link.id for link in one.overlay.linked] == [ours if smaller else theirs]
    gone = theirs if smaller else ours
    assert one.overlay.link_down(gone, "duplicate", 0.0) == smaller
    assert len(one.overlay.linked) == 1


def test_who_dials_again_knows_that_the_old_link_is_dead():
    one = Desk()
    one.call(1)
    old = one.link_to(1)
    again = one.call(1)

    assert again.linked
    assert CloseLink(old, "replaced") in again.effects
    assert one.overlay.links[old].phase is Phase.CLOSING
    assert one.overlay.link_down(old, "replaced", 0.0), "it was a neighbor"
    assert len(one.overlay.linked) == 1


def test_a_hello_that_comes_twice_changes_nothing():
    one = Desk()
    one.call(1)
    link = one.link_to(1)
    again = one.overlay.on_hello(link, one.hello(1, Intent.LINK), 0.0, WALL)

    assert not again.linked
    assert again.effects == []
    assert len(one.overlay.linked) == 1


def test_who_does_not_say_hello_is_shown_out():
    for since in (0.1, 1.1, 4.1, 2.3000000000000003):  # a timer may ring a hair early
        one = Desk()
        one.now = since
        one.up(1)
        one.decide()
        one.now = since + 1
        assert closed(one.wait(0)) == []
        one.now = since + 5 - 1e-9
        assert closed(one.wait(0)) == ["no hello"]


def test_one_member_does_not_fill_the_hall():
    one = Desk()
    crowd = [closed(one.up(1)[1]) for _ in range(8)]

    assert crowd[:4] == [[]] * 4
    assert crowd[5:] == [["busy"]] * 3


# ------------------------------------------------------------------------------------ who is let in


def test_a_newcomer_at_a_full_entry_is_a_guest_until_it_has_links():
    one = Desk()
    one.fill(16)
    greeted = one.call(1, Intent.JOIN, degree=0)
    assert greeted.linked
    assert one.kind_of(1) is Kind.GUEST
    assert one.overlay.degree == 16
    (send,) = sent(greeted.effects, Hello)
    assert isinstance(send.message, Hello)
    assert send.message.degree >= 16, "by this it knows"
    link = one.link_to(1)
    one.hear(link, Beat(4, Beacon(bytes(one.gate.author), 1)))
    one.decide()
    assert closed(one.wait(29)) == []
    assert closed(one.wait(1)) == ["enough"]


def test_a_guest_without_links_stays_and_somebody_who_can_afford_it_goes():
    one = Desk()
    one.fill(15, degree=6)
    one.fill(1, degree=9, first=2000)
    one.call(1, Intent.JOIN, degree=0)
    one.decide()
    far = one.link_to(2000)
    effects = one.wait(30)

    assert one.kind_of(1) is Kind.INBOUND
    assert CloseLink(far, "shed") in effects
    assert sent(effects, Contacts), "with some others to try"
    assert one.overlay.degree == 16


def test_guests_have_a_bound():
    one = Desk(guests_max=2)
    one.fill(16)
    assert one.call(1, Intent.JOIN, degree=0).linked
    assert one.call(2, Intent.JOIN, degree=0).linked
    third = one.call(3, Intent.JOIN, degree=0)

    assert not third.linked
    assert closed(third.effects) == ["busy"]
    assert sent(third.effects, Contacts)


def test_the_guest_itself_leaves_once_it_has_links():
    one = Desk()
    one.overlay.discovered(Discovered(one.author(1), ("n1:1",)), one.now)
    one.decide()
    link, _ = one.up(1, outbound=True)
    one.overlay.on_hello(link, one.hello(1, degree=16), one.now, one.wall)
    assert one.kind_of(1) is Kind.GUEST
    assert one.overlay.degree == 0
    effects = one.decide()
    assert sent(effects, JoinRequest), "its walks begin at the entry"
    one.fill(4)
    assert closed(one.decide()) == []
    one.fill(1, first=2000)
    assert closed(one.decide()) == ["enough"]


def test_a_link_that_finds_no_room_goes_on_as_a_walk():
    one = Desk()
    one.fill(16)
    refused = one.call(1, Intent.LINK, request=REQUEST)

    assert closed(refused.effects) == ["busy"]
    (send,) = sent(refused.effects, JoinRequest)
    walk = send.message
    assert isinstance(walk, JoinRequest)
    assert (walk.request, walk.kind, walk.warm, walk.ttl) == (REQUEST, WalkKind.OWN, 0, 24)
    assert walk.origin.author == one.author(1)


def test_an_acceptance_that_nobody_asked_for_is_refused():
    one = Desk()

    assert closed(one.call(1, Intent.ACK, request=REQUEST).effects) == ["enough"]


def test_an_acceptance_too_many_is_refused():
    """We ask while we are new; by the time the answer comes we have enough."""
    one = Desk()
    one.call(1, Intent.JOIN, degree=3)
    walks = [send.message for send in sent(one.decide(), JoinRequest)]
    assert len(walks) == 2
    assert all(isinstance(walk, JoinRequest) for walk in walks)
    requests = [walk.request for walk in walks if isinstance(walk, JoinRequest)]
    assert one.call(2, Intent.ACK, request=requests[0]).linked
    assert one.kind_of(2) is Kind.WALK
    one.fill(8)
    one.wait(61)
    assert closed(one.call(3, Intent.ACK, request=requests[1]).effects) == ["enough"]


def test_who_only_dials_out_has_slots_of_its_own():
    one = Desk(clients_max=3)
    one.fill(16)
    for number in (1, 2, 3):
        assert one.call(number, Intent.LINK, dialable=False).linked
        assert one.kind_of(number) is Kind.CLIENT
    assert one.overlay.degree == 16
    refused = one.call(4, Intent.LINK, dialable=False, request=REQUEST)
    assert closed(refused.effects) == ["busy"]
    assert not sent(refused.effects, JoinRequest), "nobody could dial it"


def test_a_probe_is_answered_and_that_is_all():
    one = Desk()
    one.fill(6)
    answer = one.call(1, Intent.PROBE, degree=6)

    assert closed(answer.effects) == ["probe"]
    assert sent(answer.effects, Contacts)


def test_a_probe_by_somebody_who_lacks_links_is_kept():
    one = Desk()
    one.fill(6)

    assert one.call(1, Intent.PROBE, degree=3).linked


def other_part(one: Desk) -> Beacon:
    return Beacon(bytes(one.author(77)), int(WALL * 1000), True)


def test_two_parts_that_meet_link_at_once_beyond_enough():
    one = Desk()
    one.fill(16, degree=9)
    one.decide()
    one.wait(11)
    greeted = one.call(1, Intent.PROBE, degree=8, beacon=other_part(one))

    assert greeted.linked
    (send,) = sent(greeted.effects, MergeHint)
    assert send.link == one.link_to(1)
    hint = send.message
    assert isinstance(hint, MergeHint)
    assert len(hint.contacts) > 8
    assert closed(one.decide()) == ["shed"]
    assert one.overlay.degree == 16


def test_somebody_alone_is_no_part_and_an_unsettled_beacon_no_sign():
    one = Desk()
    one.fill(6, degree=9)
    one.decide()
    early = one.call(1, Intent.PROBE, degree=8, beacon=other_part(one))
    assert not early.linked
    one.wait(11)
    alone = one.call(2, Intent.PROBE, degree=0, beacon=other_part(one))
    assert not sent(alone.effects, MergeHint)


def test_a_hint_of_another_part_is_passed_on_and_followed():
    one = Desk(size=20)
    one.fill(6)
    one.decide()
    contacts = tuple(one.contact(number) for number in range(50, 58))
    first = one.link_to(1000)
    effects = one.hear(first, MergeHint(REQUEST, contacts))

    assert {send.link for send in sent(effects, MergeHint)} == {
        one.link_to(number) for number in range(1001, 1006)
    }
    (dial,) = dialled(effects)
    number = int(dial.address[1:3])
    assert 50 <= number < 58
    _, effects = one.up(number, outbound=True)
    (send,) = sent(effects, Hello)
    assert isinstance(send.message, Hello)
    assert send.message.intent is Intent.MERGE
    assert one.hear(one.link_to(1001), MergeHint(bytes(16), contacts)) == [], "once in 10 s"


def test_links_across_are_shared_out():
    """Half of those who have enough pass the wish on."""
    one = Desk()
    one.fill(6)
    kept = passed = 0
    for number in range(1, 9):
        greeted = one.call(number, Intent.MERGE, request=bytes([number]) * 16)
        kept += greeted.linked
        for send in sent(greeted.effects, JoinRequest):
            assert isinstance(send.message, JoinRequest)
            assert (send.message.kind, send.message.warm) == (WalkKind.MERGE, 6)
            passed += 1

    assert kept + passed == 8
    assert kept
    assert passed


# ------------------------------------------------------------------------------------- whom to dial


def test_whoever_is_alone_dials_whom_it_knows_as_a_newcomer():
    one = Desk()
    for number in (1, 2, 3, 4):
        one.overlay.hear(one.contact(number), one.now, one.wall)
    assert len(dialled(one.decide())) == 2, "not all at once in a large pool"
    small = Desk(size=5)
    for number in (1, 2, 3, 4):
        small.overlay.hear(small.contact(number), small.now, small.wall)
    assert len(dialled(small.decide())) == 4


def test_a_newcomer_walks_twice_and_chooses_three():
    one = Desk()
    contacts = tuple(one.contact(number) for number in range(1, 9))
    assert one.call(50, Intent.JOIN, degree=0, contacts=contacts).linked
    effects = one.decide()

    assert len(sent(effects, JoinRequest)) == 2
    assert len(dialled(effects)) == 3


def test_in_a_small_pool_everyone_is_linked():
    one = Desk(size=6)
    one.fill(5)
    one.wait(61)
    one.overlay.hear(one.contact(1), one.now, one.wall)

    assert len(dialled(one.decide())) == 1


def test_a_lost_neighbor_is_dialled_again_all_the_time():
    one = Desk(size=4)
    one.call(1)
    one.decide()
    assert one.overlay.link_down(one.link_to(1), "lost", one.now)
    times: list[float] = []
    one.decide()
    while one.now < 20:
        effects = one.wait(0.05)
        for dial in dialled(effects):
            times.append(one.now)
            one.overlay.dial_failed(DialFailed(dial.author, dial.address, "x"), one.now)
    gaps = [after - before for before, after in pairwise(times)]

    assert times[0] < 0.2
    assert max(gaps) < 0.6


def test_who_said_goodbye_politely_is_not_chased():
    one = Desk()
    one.fill(6)
    one.call(1)
    one.overlay.link_down(one.link_to(1), "shed", one.now)

    assert dialled(one.wait(0.5)) == []


def test_with_enough_links_those_lost_are_probed_and_all_at_once_when_the_network_changed():
    one = Desk()
    one.fill(12)
    one.decide()
    one.overlay._seeker._settle(one.now)  # no newcomer any more
    for number in range(1000, 1004):
        one.overlay.link_down(one.link_to(number), "lost", one.now)
    probes = 0
    for _ in range(50):
        for dial in dialled(one.wait(0.5)):
            probes += 1
            one.overlay.dial_failed(DialFailed(dial.author, dial.address, "x"), one.now)
    assert 1 <= probes <= 8, "a probe in ten seconds, and one for links of our own in five"

    one.overlay.network_changed(one.now)
    assert len(dialled(one.decide())) == 4


def test_idle_and_whole_costs_next_to_nothing():
    """Three of three are linked, fewer than five: nobody is left to look for."""
    net = Net(1)
    net.grow(2, 5.0)
    net.run(60)
    before = dict(net.sent)
    dials = net.dials
    net.run(660)

    assert net.dials == dials
    assert net.sent.get("JoinRequest") == before.get("JoinRequest")
    messages = sum(net.sent.values()) - sum(before.values())
    assert messages < 600 * 3 * 0.4, "a beat for each link and ten seconds, a few contacts"


def test_evaluating_without_a_reason_says_nothing():
    one = Desk()
    one.fill(6)
    one.decide()

    assert one.decide() == []
    timers = [effect for effect in one.wait(0.001) if isinstance(effect, StartTimer)]
    assert len(timers) <= 1


# ---------------------------------------------------------------------------------------- hostility


def forged(one: Desk, number: int) -> Contact:
    return msgspec.structs.replace(one.contact(number), addresses=("evil:1",))


def test_forged_contacts_cost_the_link_and_the_trust():
    one = Desk()
    one.fill(6)
    link = one.link_to(1000)
    assert one.hear(link, Contacts((forged(one, 1), forged(one, 2)), answer=True)) == []
    effects = one.hear(link, Contacts((forged(one, 3),), answer=True))

    assert closed(effects) == ["forged"]
    assert one.overlay._book.get(one.author(1)) is None
    assert one.author(1000) in one.overlay._seeker.distrusted


def test_a_flood_of_contacts_costs_few_signatures():
    one = Desk()
    one.fill(6)
    link = one.link_to(1000)
    for stamp in range(2, 402):
        one.hear(link, Contacts((one.contact(1000, stamp=stamp),), answer=True))
    entry = one.overlay._book.get(one.author(1000))

    assert entry is not None
    assert entry.stamp <= 101


def test_contacts_of_strangers_are_not_held_against_anybody():
    one = Desk()
    one.fill(6)
    strangers = tuple(one.contact(number) for number in range(1, 6))
    one.gate.strangers = {bytes(contact.author) for contact in strangers}
    assert one.hear(one.link_to(1000), Contacts(strangers, answer=True)) == []
    assert one.overlay._book.get(one.author(1)) is None

    one.gate.strangers = set()
    one.keys.limit = 101  # the pool has grown: they are known now
    one.decide()
    assert one.overlay._book.get(one.author(1)) is not None


def test_a_contact_of_the_day_after_tomorrow_is_refused():
    one = Desk()
    tomorrow = one.contact(1, stamp=int((WALL + 80_000) * 1000))
    later = one.contact(2, stamp=int((WALL + 90_000) * 1000))

    assert one.overlay.hear(tomorrow, 0.0, WALL)
    assert not one.overlay.hear(later, 0.0, WALL)


def test_links_are_shed_only_by_those_who_can_afford_it_and_never_own_ones():
    one = Desk()
    one.fill(16, degree=6)
    one.decide()
    one.wait(11)
    assert one.call(1, Intent.PROBE, degree=6, beacon=other_part(one)).linked
    assert closed(one.decide()) == []
    assert one.overlay.degree == 17, "rather one too many than somebody below the minimum"

    one.hear(one.link_to(1005), Beat(7, Beacon(bytes(one.gate.author), 1)))
    one.overlay.links[one.link_to(1005)].kind = Kind.OWN
    assert closed(one.wait(1)) == []
    one.hear(one.link_to(1006), Beat(7, Beacon(bytes(one.gate.author), 1)))
    assert closed(one.wait(1)) == ["shed"]


def test_a_silent_link_is_closed():
    one = Desk()
    one.fill(6)
    reasons = []
    for _ in range(50):
        for number in range(1001, 1006):
            one.hear(one.link_to(number), Beat(5, Beacon(bytes(one.gate.author), 1)))
        reasons += closed(one.wait(1))

    assert reasons == ["silent"]
    assert one.overlay.link_of(one.author(1000)) is None


def test_two_own_links_into_one_block_at_most():
    one = Desk(size=50)
    one.call(90)
    for number in range(1, 9):
        contact = contact_of(one.keys, one.author(number), f"8.8.8.{number}:1")
        one.overlay.hear(contact, one.now, one.wall)
    for _ in range(20):
        for dial in dialled(one.wait(1.0)):
            number = int(dial.address.split(".")[3].split(":")[0])
            link = LinkId(500 + number)
            event = LinkUp(link, dial.member, dial.address, outbound=True)
            one.overlay.link_up(event, one.now)
            one.overlay.on_hello(link, one.hello(number), one.now, one.wall)
    own = [link for link in one.overlay.linked if link.kind is Kind.OWN]

    assert 2 <= len(own) <= 3, "three may be on their way at the same moment"


def test_messages_before_the_hello_are_ignored():
    one = Desk()
    link, _ = one.up(1)

    assert one.hear(link, Beat(5, Beacon(bytes(32), 1, True))) == []
    assert one.hear(link, MergeHint(REQUEST, (one.contact(2),))) == []
    assert one.hear(LinkId(99), Beat(5, Beacon(bytes(32), 1, True))) == []


def test_news_of_the_network_are_told():
    one = Desk()
    greeted = one.call(1)
    facts = [effect.facts for effect in greeted.effects if isinstance(effect, Notify)]

    assert [fact["what"] for fact in facts] == ["linked"]


def test_door_list_names_us_and_those_who_can_be_dialled():
    one = Desk()
    one.fill(3)
    assert one.call(1, dialable=False).linked
    entries = {entry.author: entry.addresses for entry in one.overlay.contacts_for_door()}

    assert entries[bytes(one.gate.author)] == ("me:1",)
    assert entries[bytes(one.author(1000))] == ("n1000:1",)
    assert bytes(one.author(1)) not in entries


def test_going_on_as_a_new_author_has_a_contact_of_its_own():
    one = Desk()
    old = one.overlay.own_contact(one.wall)
    assert one.overlay.own_contact(one.wall) is old
    one.gate._author = one.author(500)
    one.overlay.become(one.now, one.wall)

    assert one.overlay.own_contact(one.wall).author == one.author(500)


# -------------------------------------------------------------------------------------------- pools


def whole(net: Net) -> bool:
    net.check()
    return len(net.components()) == 1


def test_a_small_pool_is_a_full_mesh_at_once(simulation_seed):
    net = Net(simulation_seed)
    first = net.add()
    for _ in range(3 + simulation_seed % 3):
        net.add([first])
    net.run(5)

    assert net.degrees() == [len(net.nodes) - 1] * len(net.nodes)
    net.check()


@pytest.mark.parametrize("seed", range(5))
def test_everyone_gets_its_links_and_the_entry_is_not_overrun(seed):
    net = Net(seed)
    net.grow(59, 20.0)
    net.run(net.now + 5)

    assert whole(net)
    assert net.degrees()[0] >= 5
    assert max(node.overlay.degree for node in net.nodes) <= 16
    net.run(net.now + 60)
    assert all(node.overlay._neighbors.own >= 3 for node in net.nodes)
    assert len(net.neighbors(net.nodes[0])) <= 16, "the guests have gone"


@pytest.mark.parametrize("seed", range(3))
def test_half_of_a_pool_dies_and_the_rest_stays_one(seed):
    net = Net(seed)
    net.grow(59, 20.0)
    net.run(net.now + 30)
    net.kill([net.nodes[0], *net.rng.sample(net.nodes[1:], 29)])
    net.run(net.now + 15)

    assert whole(net)
    assert net.degrees()[0] >= 5


@pytest.mark.parametrize("apart", [35.0, 120.0])
@pytest.mark.parametrize("count", [3, 10, 40])
def test_two_halves_become_one_again_within_seconds(count, apart):
    net = Net(count)
    net.grow(count - 1, 20.0)
    net.run(net.now + 30)
    half = net.nodes[: count // 2]
    net.partition(half, net.nodes[count // 2 :])
    net.run(net.now + apart)
    assert len(net.components()) == 2
    net.mend()
    net.run(net.now + 5)

    assert whole(net)
    across = sum(other not in half for node in half for other in net.neighbors(node))
    assert across >= min(count // 4, 8)


def test_two_pools_that_never_met_knit_together():
    net = Net(3)
    left = net.add()
    net.grow(29, 20.0, left)
    right = net.add()
    net.grow(29, 20.0, right)
    net.run(net.now + 30)
    first, second = net.nodes[:30], net.nodes[30:]
    assert len(net.components()) == 2
    first[5].overlay.discovered(Discovered(second[7].author, (second[7].address,)), net.now)
    net.run(net.now + 20)

    assert whole(net)
    assert sum(other in second for node in first for other in net.neighbors(node)) >= 3


def test_those_who_only_dial_out_are_members_like_any():
    net = Net(4)
    entry = net.add()
    for number in range(39):
        net.run(net.now + 0.05)
        net.add([entry], dialable=number % 2 == 0)
    net.run(net.now + 30)

    assert whole(net)
    assert net.degrees()[0] >= 5


def test_a_network_worse_than_tcp_wedges_nothing(simulation_seed):
    net = Net(simulation_seed, loss=0.1, duplicate=0.1, reorder=True)
    net.grow(7, 5.0)
    net.run(30)
    net.loss = net.duplicate = 0.0
    net.reorder = False
    net.run(net.now + 60)

    net.check()
    assert len(net.components()) == 1
    for node in net.nodes:
        assert len(net.neighbors(node)) == len(node.overlay.linked), "both ends agree"
        assert not [link for link in node.overlay.links.values() if link.phase is Phase.CLOSING]


def test_everyone_leaves_and_comes_back_from_what_it_remembers():
    """Nobody is told an entry: the saved books are enough, and the anchors come first."""
    net = Net(5)
    first = net.add(store=MemoryStore())
    nodes: list[Node] = [first]
    for _ in range(7):
        nodes.append(net.add([first], store=MemoryStore()))
        net.run(net.now + 1)
    net.run(net.now + 30)
    anchors = nodes[3].overlay._tending._anchors
    assert len(anchors) == 2
    net.kill(nodes)
    net.run(net.now + 10)
    for node in nodes:
        net.restart(node)
    assert nodes[3].overlay._seeker.anchors == [AuthorId(one) for one in anchors]
    net.run(net.now + 10)

    assert whole(net)
    assert net.degrees()[0] >= 5


def test_one_seed_is_one_history():
    def history(seed: int) -> tuple[object, ...]:
        net = Net(seed)
        net.grow(14, 20.0)
        net.run(net.now + 20)
        return (net._count, sorted(net.sent.items()), net.degrees())

    assert history(7) == history(7)
    assert history(7) != history(8)


@pytest.mark.slow
def test_three_hundred_join_through_one_entry():
    net = Net(6)
    net.grow(299, 50.0)
    net.run(net.now + 30)

    assert whole(net)
    degrees = net.degrees()
    assert degrees[0] >= 5
    assert 8 <= statistics.mean(degrees) <= 12
    assert max(node.overlay.degree for node in net.nodes) <= 16


def test_configuration_is_a_plain_value():
    assert replace(OverlayConfig(), links_min=3).links_min == 3


def test_own_links_follow_the_sampler_while_it_converges():
    net = Net(8)
    net.grow(49, 40.0)
    net.run(net.now + 20)

    def chosen() -> float:
        own = good = 0
        for node in net.nodes:
            sample = {one.author for one in node.overlay._ground.sampler.contacts}
            links = [link for link in node.overlay.linked if link.kind is Kind.OWN]
            own += len(links)
            good += sum(link.author in sample for link in links)
        return good / own

    before, degree = chosen(), statistics.mean(net.degrees())
    net.run(net.now + 200)

    assert chosen() > before + 0.1
    assert abs(statistics.mean(net.degrees()) - degree) < 2
    assert whole(net)


def test_walks_that_come_back_at_once_do_not_starve_dials():
    """Two survivors, linked to each other, know living ones by hearsay: no walk leads there."""
    desk = Desk(size=1000)
    desk.fill(1, degree=1)
    known = tuple(desk.contact(number) for number in range(20))
    (neighbor,) = desk.overlay.linked
    desk.hear(neighbor.id, Contacts(known))
    dialled: set[bytes] = set()
    for _ in range(100):
        effects = desk.wait(0.1)
        dialled |= {bytes(one.author) for one in effects if isinstance(one, Dial)}
        for dial in [one for one in effects if isinstance(one, Dial)]:
            desk.overlay.dial_failed(DialFailed(dial.author, dial.address, "dead"), desk.now)
        for walk in sent(effects, JoinRequest):
            assert isinstance(walk.message, JoinRequest)
            desk.hear(neighbor.id, JoinHint(walk.message.request, ()))

    assert len(dialled) >= 10, "of 30 tries in ten seconds no more than every other is a walk"
