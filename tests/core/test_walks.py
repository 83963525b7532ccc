"""JOIN_REQ: where it goes, who accepts it, and that none ends in silence."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec

from meerkat.core.contact import proof_of_join
from meerkat.core.effects import CloseLink, Dial, Effect, Send
from meerkat.core.events import LinkId
from meerkat.core.ids import AuthorId, MemberId
from meerkat.core.messages import Contact, JoinHint, JoinOffer, JoinRequest, WalkKind
from meerkat.core.neighbors import Kind, Neighbor, Neighbors
from meerkat.core.overlay_config import OverlayConfig
from meerkat.core.walks import Host, Outcome, Walks
from tests.core.overlay_harness import POOL, OpenGate, Pool, contact_of

WALL = 1_790_000_000.0


class Junction:
    """The walks of one node with some neighbors of given degrees."""

    def __init__(self, degrees: list[int], *, seed: int = 1, dialable: bool = True) -> None:
        self.keys = Pool()
        self.gate = OpenGate(self.keys, self.keys.enroll(0))
        self.neighbors = Neighbors()
        self.config = OverlayConfig()
        self.busy: set[bytes] = set()
        self.can_dial = True
        self.contact = contact_of(self.keys, self.gate.author, "me:1")
        host = Host(
            dial=self.dial,
            busy=lambda author: author in self.busy,
            sample=lambda: [self.contact],
            contact=lambda: self.contact,
            dialable=lambda: dialable,
        )
        rng = Random(seed)
        self.walks = Walks(self.gate, self.neighbors, self.config, rng, rng.randbytes, host)
        self.links = [self.link(number, degree) for number, degree in enumerate(degrees, 1)]

    def dial(self, contact: Contact, request: bytes, now: float) -> list[Effect]:
        author = AuthorId(contact.author)
        address = contact.addresses[0]
        return [Dial(author, MemberId(author), address, 1.0, b"")] if self.can_dial else []

    def link(self, number: int, degree: int, kind: Kind = Kind.INBOUND) -> Neighbor:
        author = self.keys.enroll(number)
        link = Neighbor(LinkId(number), MemberId(author), f"n{number}:1", True, 0.0)
        self.neighbors.add(link)
        link.degree = degree
        self.neighbors.accept(link, author, kind, 0.0)
        return link

    def request(
        self,
        number: int = 100,
        *,
        warm: int = 0,
        ttl: int = 10,
        dialable: bool = True,
        name: int = 1,
    ) -> JoinRequest:
        origin = self.keys.enroll(number)
        gate = OpenGate(self.keys, origin)
        contact = contact_of(self.keys, origin, f"o{number}:1" if dialable else None)
        request = bytes([name]) * 16
        proof = gate.sign(proof_of_join(POOL, request))
        return JoinRequest(request, contact, WalkKind.JOIN, warm, ttl, proof)

    def take(
        self, message: JoinRequest, by: int = 0, now: float = 0.0
    ) -> tuple[Outcome, list[Effect]]:
        return self.walks.on_request(self.links[by], message, now, WALL)


def sent(effects: list[Effect]) -> tuple[LinkId, object]:
    (effect,) = effects
    assert isinstance(effect, Send)
    return effect.link, effect.message


def with_ttl(message: JoinRequest, ttl: int) -> JoinRequest:
    return msgspec.structs.replace(message, ttl=ttl)


def test_who_has_too_few_links_accepts_at_once():
    one = Junction([9, 9, 9])
    outcome, effects = one.take(one.request(warm=6))

    assert outcome is Outcome.ACCEPTED
    (dial,) = effects
    assert isinstance(dial, Dial)
    assert dial.address == "o100:1"


def test_in_the_warm_up_nobody_accepts_who_has_enough():
    one = Junction([9] * 8)
    outcome, effects = one.take(one.request(warm=3, ttl=20))
    link, message = sent(effects)

    assert outcome is Outcome.FORWARDED
    assert link != one.links[0].id, "never back"
    assert isinstance(message, JoinRequest)
    assert (message.warm, message.ttl) == (2, 19)


def test_it_is_accepted_the_more_readily_the_fewer_links_there_are():
    def share(own: int, others: int) -> float:
        one = Junction([others] * own)
        taken = 0
        for number in range(400):
            request = one.request(name=1)
            request = msgspec.structs.replace(request, request=number.to_bytes(16, "big"))
            origin = OpenGate(one.keys, AuthorId(request.origin.author))
            proof = origin.sign(proof_of_join(POOL, request.request))
            request = msgspec.structs.replace(request, proof=proof)
            taken += one.take(request, now=float(number))[0] is Outcome.ACCEPTED
        return taken / 400

    assert share(8, 12) == 1.0, "the least connected in sight takes it"
    assert 0.55 < share(9, 5) < 0.65, "(lo + 1) / (degree + 1) = 6 / 10"
    assert 0.3 < share(15, 5) < 0.45, "6 / 16"
    assert share(16, 5) == 0.0, "the cap"


def test_it_goes_on_to_the_less_connected_of_two():
    one = Junction([15, 15, 6, 15, 15, 15, 15, 15, 15, 15])
    went = []
    for number in range(300):
        message = one.request(warm=3)
        message = msgspec.structs.replace(message, request=number.to_bytes(16, "big"))
        went.append(sent(one.take(message, now=float(number))[1])[0])

    assert went.count(one.links[2].id) > 300 * 1.5 / 9


def test_it_never_goes_to_its_origin_to_guests_or_back():
    one = Junction([9, 9, 9, 9, 9])
    guest = one.link(50, 1, Kind.GUEST)
    origin = one.link(100, 9)
    for number in range(100):
        message = one.request(100, warm=3)
        message = msgspec.structs.replace(message, request=number.to_bytes(16, "big"))
        went, _ = sent(one.take(message)[1])
        assert went not in (guest.id, origin.id, one.links[0].id)


def test_the_last_step_accepts_below_the_cap_or_ends_in_a_hint():
    one = Junction([5] * 15)
    assert one.take(one.request(warm=3, ttl=0))[0] is Outcome.ACCEPTED

    full = Junction([5] * 16)
    outcome, effects = full.take(full.request(ttl=0))
    link, message = sent(effects)
    assert outcome is Outcome.HINTED
    assert link == full.links[0].id
    assert isinstance(message, JoinHint)
    assert message.contacts == (full.contact,)


def test_whom_we_cannot_reach_is_passed_on_and_ends_in_a_hint():
    one = Junction([9, 9, 9])
    one.gate.strangers.add(bytes(one.keys.enroll(100)))

    assert one.take(one.request(100))[0] is Outcome.FORWARDED
    assert one.take(one.request(100, ttl=0, name=2))[0] is Outcome.HINTED


def test_who_is_linked_or_being_dialled_is_passed_on():
    one = Junction([9, 9, 9])
    one.link(100, 5)
    one.busy.add(bytes(one.keys.enroll(101)))

    assert one.take(one.request(100))[0] is Outcome.FORWARDED
    assert one.take(one.request(101, name=2))[0] is Outcome.FORWARDED


def test_an_origin_that_cannot_be_dialled_gets_an_offer():
    one = Junction([9, 9, 9])
    outcome, effects = one.take(one.request(dialable=False))
    link, message = sent(effects)
    origin = one.keys.enroll(100)

    assert outcome is Outcome.OFFERED
    assert link == one.links[0].id
    assert message == JoinOffer(bytes([1]) * 16, one.contact)
    assert not one.walks.offered(bytes([1]) * 16, one.keys.enroll(101)), "not to others"
    assert one.walks.offered(bytes([1]) * 16, origin)
    assert not one.walks.offered(bytes([1]) * 16, origin), "once"


def test_two_that_only_dial_out_never_try_each_other():
    one = Junction([9, 9, 9], dialable=False)

    assert one.take(one.request(dialable=False))[0] is Outcome.FORWARDED
    assert one.take(one.request(name=2))[0] is Outcome.ACCEPTED


def test_a_request_in_another_name_is_never_dialled():
    one = Junction([9, 9, 9])
    forged = msgspec.structs.replace(one.request(), proof=bytes(64))
    outcome, effects = one.take(forged)
    assert (outcome, effects) == (Outcome.DROPPED, [])

    honest = one.request(name=2)
    moved = msgspec.structs.replace(honest.origin, addresses=("evil:1",))
    assert one.take(msgspec.structs.replace(honest, origin=moved)) == (Outcome.DROPPED, [])


def test_a_walk_without_end_is_stopped():
    one = Junction([9] * 8)
    first = one.request(warm=6, ttl=20)
    assert one.take(first)[0] is Outcome.FORWARDED
    assert one.take(first, by=3)[0] is Outcome.DROPPED, "doubled"
    assert one.take(with_ttl(first, 24), by=3)[0] is Outcome.DROPPED, "rising"
    assert one.take(with_ttl(one.request(name=2), 30))[0] is Outcome.DROPPED, "too long"


def test_a_walk_that_comes_again_and_again_ends_in_a_hint():
    one = Junction([9] * 8)
    outcomes = [one.take(one.request(warm=12, ttl=20 - turn))[0] for turn in range(9)]

    assert outcomes[:8] == [Outcome.FORWARDED] * 8
    assert outcomes[8] is Outcome.HINTED


def test_a_flood_of_walks_is_dropped_and_then_costs_the_link():
    one = Junction([9] * 8)
    outcomes = []
    closed: list[Effect] = []
    for number in range(3000):
        message = one.request(warm=6)
        message = msgspec.structs.replace(message, request=number.to_bytes(16, "big"))
        outcome, effects = one.take(message, now=0.001 * number)
        outcomes.append(outcome)
        closed += [effect for effect in effects if isinstance(effect, CloseLink)]

    assert outcomes[:400] == [Outcome.FORWARDED] * 400
    assert outcomes.count(Outcome.FORWARDED) < 400 + 3 * 200 + 10
    assert closed
    assert closed[0] == CloseLink(one.links[0].id, "flood")


def test_answers_go_back_the_way_that_the_walk_came():
    one = Junction([9] * 8)
    one.take(one.request(warm=6), by=2)
    hint = JoinHint(bytes([1]) * 16, ())
    answer = one.walks.on_answer(one.links[5].id, hint)
    assert answer.effects == [Send(one.links[2].id, hint)]

    more = [one.walks.on_answer(one.links[5].id, hint).effects for _ in range(10)]
    assert sum(map(bool, more)) == 3, "a few answers, no flood"
    assert one.walks.on_answer(one.links[2].id, hint).effects == [], "never to where it came from"
    unasked = JoinHint(bytes([9]) * 16, (one.contact,))
    assert one.walks.on_answer(one.links[2].id, unasked).contacts == ()


def test_a_walk_of_ours_is_open_until_it_is_answered_or_three_seconds_passed():
    one = Junction([9] * 8)
    _, message = sent(one.walks.start(WalkKind.JOIN, 10.0))
    assert isinstance(message, JoinRequest)
    assert (message.warm, message.ttl) == (6, 24)
    assert one.walks.open_count == 1
    assert one.walks.open_until() == 13.0
    one.walks.give_up(13.0)
    assert one.walks.open_count == 0
    assert one.walks.claim(message.request) is WalkKind.JOIN, "late, but ours"
    one.walks.give_up(41.0)
    assert one.walks.claim(message.request) is None

    _, message = sent(one.walks.start(WalkKind.JOIN, 50.0))
    assert isinstance(message, JoinRequest)
    answer = one.walks.on_answer(one.links[0].id, JoinHint(message.request, (one.contact,)))
    assert answer.contacts == (one.contact,)
    assert one.walks.open_count == 0


def test_a_link_that_found_no_room_goes_on_as_a_walk_without_warm_up():
    one = Junction([9] * 16)
    wish = one.request()
    effects = one.walks.pass_on(wish.origin, wish.request, wish.proof, WalkKind.OWN, 0.0)
    _, message = sent(effects)
    assert message == replace_walk(wish, WalkKind.OWN, warm=0)
    assert one.walks.pass_on(wish.origin, wish.request, wish.proof, WalkKind.OWN, 0.0) == []

    other = one.request(name=2)
    _, message = sent(
        one.walks.pass_on(other.origin, other.request, other.proof, WalkKind.MERGE, 0.0)
    )
    assert message == replace_walk(other, WalkKind.MERGE, warm=6)


def replace_walk(message: JoinRequest, kind: WalkKind, *, warm: int) -> JoinRequest:
    return msgspec.structs.replace(message, kind=kind, warm=warm, ttl=24)


def test_what_is_remembered_of_walks_is_bounded():
    one = Junction([9] * 8)
    one.walks._config = replace(one.config, paths_max=50)
    for number in range(500):
        message = one.request(warm=6)
        message = msgspec.structs.replace(message, request=number.to_bytes(16, "big"))
        one.take(message, now=number * 0.01)
        one.walks.start(WalkKind.JOIN, number * 0.01)

    assert len(one.walks._paths) <= 50
    assert len(one.walks._mine) <= 256
