"""What must hold once the faults are over (tests.md A2, A3)."""

from __future__ import annotations

from collections.abc import Collection

from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.tokens import marks_in_folder, marks_of
from tests.simulation.users import Users

SETTLE_LIMIT = 60.0  # virtual s
QUIET = 21.0  # virtual s watched for storms: two beats
RECONNECTS = 60  # events of links that find each other again after a restart
QUIET_EVENTS = 40  # per pair of peers in that time: beats, presences, contacts and their timers


def check_all(simulator: Simulator, users: Users, *, doubled: bool = False) -> None:
    """Heal, settle, and hold the outcome to every promise."""
    simulator.heal()
    for one in simulator.peers:
        one.folder.full = False
        simulator.look(one)
    took = simulator.settle(SETTLE_LIMIT)
    story = "\n".join(users.diary)
    assert took < SETTLE_LIMIT, f"no peace after {took} s: {_why(simulator)}\n{story}"
    check_equal(simulator, story)
    check_nothing_lost(simulator, users)
    if not doubled:
        check_nothing_doubled(simulator, story, users.moved_over)
    check_quiet(simulator, story)
    check_restart(simulator, story)


def _why(simulator: Simulator) -> list[str]:
    found = []
    for one in simulator.peers:
        peer = one.peer
        if peer is None:
            continue
        planner, scanned = peer._folder._planner, peer._folder._scanned
        found.append(
            f"{one.name}: in_sync={peer.in_sync} links={len(peer._network.linked)} "
            f"heads={peer._log.heads} pending={peer._log.pending()} scanned={scanned} "
            f"dirty={sorted(planner.dirty)} blocked={sorted(planner._blocked)} "
            f"busy={sorted(planner._busy)} later={planner._later} open={list(peer._blobs._open)}"
        )
    return found


def check_equal(simulator: Simulator, story: str = "") -> None:
    first = simulator.peers[0]
    assert first.peer is not None
    for one in simulator.peers[1:]:
        assert one.peer is not None
        assert one.peer.status().heads == first.peer.status().heads
        assert one.folder.listing() == first.folder.listing(), _difference(first, one) + story
        assert one.peer.in_sync
        assert not one.peer.status().pending_files


def _difference(first: SimulatedPeer, other: SimulatedPeer) -> str:
    ours, theirs = first.folder.listing(), other.folder.listing()
    lines = [
        f"{path}: {first.name}: {_short(ours.get(path))}; {other.name}: {_short(theirs.get(path))}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]
    return "\n".join(["folders differ", *lines, ""])


def _short(one: tuple[str, bytes, bool] | None) -> str:
    if one is None:
        return "nothing"
    return f"{one[0]} {one[1][:60].decode(errors='replace')!r} ({len(one[1])}) x={one[2]}"


def check_nothing_lost(simulator: Simulator, users: Users) -> None:
    """What nobody who saw it removed is there."""
    folder = simulator.peers[0].folder
    lost = users.written - users.removed - marks_in_folder(folder).keys()
    story = "\n".join(users.diary)
    assert not lost, f"lost {sorted(lost)}: {sorted(folder.nodes)}\n{story}"


def check_nothing_doubled(simulator: Simulator, story: str = "", but: Collection[str] = ()) -> None:
    """No line stands twice in a file, unless two people may have inserted it (``but``)."""
    for path, node in simulator.peers[0].folder.nodes.items():
        counts = marks_of(node).items()
        doubled = [mark for mark, count in counts if count > 1 and mark not in but]
        assert not doubled, f"{path} holds {doubled} twice\n{story}"


def check_quiet(simulator: Simulator, story: str = "") -> None:
    """Nothing goes on by itself: heads and folders stay, and hardly an event happens."""
    before = [one.folder.listing() for one in simulator.peers]
    heads = [one.peer.status().heads for one in simulator.peers if one.peer is not None]
    count = simulator.event_count
    simulator.run(simulator.now + QUIET)
    assert heads == [one.peer.status().heads for one in simulator.peers if one.peer is not None]
    assert before == [one.folder.listing() for one in simulator.peers]
    size = len(simulator.peers)
    events = simulator.event_count - count
    assert events <= QUIET_EVENTS * size * size + RECONNECTS, f"{events} events in peace\n{story}"


def check_restart(simulator: Simulator, story: str = "") -> None:
    """A restart of everyone changes nothing: stores and folders hold it all."""
    before = [one.folder.listing() for one in simulator.peers]
    heads = [one.peer.status().heads for one in simulator.peers if one.peer is not None]
    for one in simulator.peers:
        simulator.crash(one)
    for one in simulator.peers:
        simulator.restart(one)
    simulator.settle(SETTLE_LIMIT)
    after = [one.peer.status().heads for one in simulator.peers if one.peer is not None]
    assert heads == after, f"a restart wrote operations: {heads} {after}\n{story}"
    assert before == [one.folder.listing() for one in simulator.peers], story
