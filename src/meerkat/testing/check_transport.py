"""The acceptance suite of the transport port: what every transport must do, real or fake.

A test gives ``Party`` objects made by its adapter; each ``check_…`` is one promise. Nothing here
sleeps: checks wait for what was heard, with a timeout.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from meerkat.testing.transport_party import MakeParty, Recorder, linked, refused
from meerkat.transport.base import DialRefused, Link, PeerNotTrusted, PortTaken
from meerkat.transport.options import TransportOptions

__all__ = ["CHECKS", "HOST"]

HOST = "127.0.0.1"
MiB = 1024 * 1024


def _heard(heard: Recorder, *, live: int = 0, bulk: int = 0, down: int = 0) -> Callable[[], bool]:
    """A condition for ``until``: at least so many of each have been heard."""
    return lambda: len(heard.live) >= live and len(heard.bulk) >= bulk and len(heard.down) >= down


async def check_both_directions(make: MakeParty) -> None:
    """Live and Bulk carry frames both ways, and both ends know whom they talk to."""
    alice, bob, here, there = await linked(make)
    assert (here.member, here.outbound, here.address) == (bob.member, True, bob.address)
    assert (there.member, there.outbound) == (alice.member, False)
    assert alice.heard.up == [here]
    for link, name in ((here, b"alice"), (there, b"bob")):
        link.send(name)
        link.send(b"")
        link.send_bulk(name + b" bulk")
        link.send_bulk(b"")
    for party, name in ((alice, b"bob"), (bob, b"alice")):
        heard = party.heard
        await heard.until(_heard(heard, live=2, bulk=2))
        assert (heard.live, heard.bulk) == ([name, b""], [name + b" bulk", b""])


async def check_probe(make: MakeParty) -> None:
    """A member's certificate need not be known before: it is fetched and checked."""
    alice, bob = await make(), await make()
    bob.trust(alice)
    link = await alice.dial(bob, probe=True)
    assert link.member == bob.member


async def check_order(make: MakeParty) -> None:
    """Ten thousand frames arrive once, in order, in calls a listener can slice."""
    alice, bob, here, there = await linked(make)
    sent = [index.to_bytes(4, "big") * (1 + index % 50) for index in range(10_000)]
    for frame in sent:
        here.send(frame)
        there.send(frame)
    for party in (alice, bob):
        heard = party.heard
        await heard.until(_heard(heard, live=len(sent)), patience=10)
        assert heard.live == sent
        assert all(count <= 512 and size <= 256 * 1024 for count, size in heard.calls)


async def check_large_frames(make: MakeParty) -> None:
    """A 1 MiB chunk with a header passes, on both streams."""
    _, bob, here, _ = await linked(make)
    frame = bytes(range(256)) * 4096 + b"header"
    here.send(frame)
    here.send_bulk(frame)
    await bob.heard.until(lambda: bob.heard.live and bob.heard.bulk)
    assert bob.heard.live == bob.heard.bulk == [frame]


async def check_oversize(make: MakeParty) -> None:
    """A frame above the limit closes its link, is not delivered, and other links stand."""
    alice, bob, here, _ = await linked(make)
    carol = await make()
    carol.trust(alice)
    other = await alice.dial(carol)
    here.send(bytes(2 * MiB))
    await alice.heard.until(lambda: alice.heard.down)
    await bob.heard.until(lambda: bob.heard.down)
    assert alice.heard.down == [(here, "oversize")]
    assert bob.heard.live == []
    other.send(b"still here")
    await carol.heard.until(lambda: carol.heard.live)


async def check_oversize_received(make: MakeParty) -> None:
    """A frame above the receiver's limit costs the sender its link, on either stream."""
    limit = TransportOptions(max_frame_bytes=1000)
    strict = await make(options=limit)
    loose = await make(options=replace(limit, max_frame_bytes=2000))
    strict.trust(loose)
    for number, stream in enumerate(("send", "send_bulk"), start=1):
        link = await loose.dial(strict)
        getattr(link, stream)(bytes(1500))
        await strict.heard.until(_heard(strict.heard, down=number))
        await loose.heard.until(_heard(loose.heard, down=number))
    assert strict.heard.reasons == ["protocol", "protocol"]
    assert strict.heard.live == strict.heard.bulk == []


async def check_stranger(make: MakeParty) -> None:
    """Whoever is not in the roster is refused and never heard of."""
    stranger, bob, alice = await make(), await make(), await make()
    await refused(PeerNotTrusted, stranger.dial(bob))  # an empty roster lets nobody in
    bob.trust(alice)
    await refused(PeerNotTrusted, stranger.dial(bob))
    await refused(PeerNotTrusted, stranger.dial(bob, probe=True))
    assert (bob.heard.up, stranger.heard.up) == ([], [])
    await alice.dial(bob)


async def check_impostor(make: MakeParty) -> None:
    """Another member answering at the wanted address is not taken for the wanted one."""
    alice, bob, mallory = await make(), await make(), await make()
    for party in (bob, mallory):
        party.trust(alice)
    for certificate in (bob.certificate, None, mallory.certificate):
        dialing = alice.transport.dial(mallory.address, bob.member, certificate)
        await refused(PeerNotTrusted, dialing)
    assert (alice.heard.up, mallory.heard.up) == ([], [])


async def check_removed_member(make: MakeParty) -> None:
    """Roster changes count from the next connection; a standing link is the node's to close."""
    alice, bob, here, _ = await linked(make)
    carol = await make()
    bob.trust(carol)
    await refused(PeerNotTrusted, alice.dial(bob))
    here.send(b"still linked")
    await bob.heard.until(lambda: bob.heard.live)
    await carol.dial(bob)
    bob.trust(alice, carol)
    await alice.dial(bob)


async def check_goodbye(make: MakeParty) -> None:
    """The last frames and the reason arrive, cut to 64 bytes, whichever side closes; once."""
    alice, bob, here, there = await linked(make)
    here.send(b"last words")
    here.close("ä" * 40)
    here.close("again")
    here.send(b"too late")
    for party, link in ((alice, here), (bob, there)):
        heard = party.heard
        await heard.until(_heard(heard, down=1))
        assert heard.down == [(link, "ä" * 32)]
    assert bob.heard.live == [b"last words"]
    again = await alice.dial(bob)
    await bob.heard.until(lambda: len(bob.heard.up) == 2)
    bob.heard.up[1].close("so long")
    await alice.heard.until(lambda: len(alice.heard.down) == 2)
    await bob.heard.until(lambda: len(bob.heard.down) == 2)
    assert alice.heard.down[1] == (again, "so long")


async def check_both_close(make: MakeParty) -> None:
    """Two goodbyes that cross: each side hears the link go down once."""
    alice, bob, here, there = await linked(make)
    here.close("mine")
    there.close("yours")
    await alice.heard.until(lambda: alice.heard.down)
    await bob.heard.until(lambda: bob.heard.down)
    assert alice.heard.reasons in (["mine"], ["yours"])
    assert bob.heard.reasons in (["mine"], ["yours"])


async def check_close_while_heard(make: MakeParty) -> None:
    """Closing inside ``received`` is allowed; nothing is received after it."""
    alice, bob, here, there = await linked(make)
    inner = bob.heard.received

    def received(link: Link, frames: list[bytes]) -> None:
        inner(link, frames)
        link.close("enough")
        assert not bob.heard.down, "link_down must not be called inside close"

    bob.heard.received = received  # type: ignore[method-assign]
    for _ in range(2000):
        here.send(b"x")
    await alice.heard.until(lambda: alice.heard.down)
    await bob.heard.until(lambda: bob.heard.down)
    assert (alice.heard.reasons, bob.heard.reasons) == (["enough"], ["enough"])
    assert len(bob.heard.calls) == 1
    assert there in bob.heard.up


async def check_overflow(make: MakeParty) -> None:
    """A full outbox closes its link, never blocks its producer, and says why."""
    alice, bob, here, _ = await linked(make)
    for _ in range(9):
        here.send(bytes(MiB))
    await alice.heard.until(lambda: alice.heard.down)
    await bob.heard.until(lambda: bob.heard.down)
    assert (alice.heard.reasons, bob.heard.reasons) == (["overflow"], ["overflow"])
    other = await alice.dial(bob)
    for _ in range(65):
        other.send_bulk(bytes(MiB))
    await alice.heard.until(lambda: len(alice.heard.down) == 2)
    assert alice.heard.reasons == ["overflow", "overflow"]


async def check_pause(make: MakeParty) -> None:
    """A paused Bulk holds the sender back without losing a byte; Live goes on."""
    _, bob, here, there = await linked(make)
    there.pause_bulk()
    for number in range(24):
        here.send_bulk(bytes((number,)) * MiB)
    here.send(b"typing")
    await bob.heard.until(lambda: bob.heard.live)
    assert bob.heard.bulk == []
    assert here.bulk_queued_bytes > 8 * MiB, "back-pressure holds most of it at the sender"
    there.resume_bulk()
    await bob.heard.until(lambda: len(bob.heard.bulk) == 24)
    assert [frame[0] for frame in bob.heard.bulk] == list(range(24))
    here.send_bulk(b"end")
    await bob.heard.until(lambda: bob.heard.bulk[-1] == b"end")


async def check_nobody_there(make: MakeParty) -> None:
    """An address nobody listens on, and one that is none."""
    alice, bob = await make(), await make()
    bob.trust(alice)
    await bob.transport.close()
    for certificate in (bob.certificate, None):
        await refused(DialRefused, alice.transport.dial(bob.address, bob.member, certificate))
    await refused(DialRefused, alice.transport.dial("nonsense", bob.member, bob.certificate))


async def check_port_taken(make: MakeParty) -> None:
    """Two nodes never share a port."""
    alice, bob = await make(), await make()
    host, _, port = bob.address.rpartition(":")
    await refused(PortTaken, alice.transport.listen(host, int(port)))
    assert PortTaken(int(port)).port == int(port)


async def check_several_addresses(make: MakeParty) -> None:
    """A transport may listen more than once, and the roster counts at each address."""
    alice, bob, carol = await make(), await make(), await make()
    addresses = [bob.address, await bob.transport.listen(HOST, 0)]
    assert addresses[0] != addresses[1]
    for friend, other in ((alice, carol), (carol, alice)):
        bob.trust(friend)
        for address in addresses:
            bob.address = address
            await friend.dial(bob)
            await refused(PeerNotTrusted, other.dial(bob))


async def check_leave(make: MakeParty) -> None:
    """Closing a transport says "leave" on every link and is finished when it returns."""
    alice, bob, _, _ = await linked(make)
    bob.heard.up[0].send(b"before leaving")
    await bob.transport.close()
    assert bob.heard.reasons == ["leave"]
    await alice.heard.until(lambda: alice.heard.down)
    assert (alice.heard.reasons, alice.heard.live) == (["leave"], [b"before leaving"])
    await bob.transport.close()


CHECKS: tuple[Callable[[MakeParty], Awaitable[None]], ...] = (
    check_both_directions,
    check_probe,
    check_order,
    check_large_frames,
    check_oversize,
    check_oversize_received,
    check_stranger,
    check_impostor,
    check_removed_member,
    check_goodbye,
    check_both_close,
    check_close_while_heard,
    check_overflow,
    check_pause,
    check_nobody_there,
    check_port_taken,
    check_several_addresses,
    check_leave,
)
