"""Databases that are moved, removed, replaced, turned off and on, while rows change and peers die.

The rows process is the small one of the core's tests: what counts here is where files stand.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from meerkat.core.events import DatabaseRequested
from meerkat.core.files import Kind
from meerkat.testing.memory_rows import MAGIC, RowsSimulator
from meerkat.testing.simulator import SimulatedPeer
from tests.core.plain_rows import PlainRows, read_rows, write_rows
from tests.simulation.bad_days import NAMES, Diary, random_faults, settle, share_databases
from tests.simulation.invariants import check_quiet, check_restart

ROUNDS = 2  # runs for each --seeds
PLACES = ("x.db", "y.db", "d/x.db", "d/e/z.db", "z")


class Owners(Diary[RowsSimulator]):
    """People with databases. A mark is a key that is written once."""

    def marks(self, one: SimulatedPeer) -> set[str]:
        """All in databases, and in files that were some."""
        folder = self.simulator.folder(one)
        found: set[str] = set()
        for path in folder.databases().values():
            found |= read_rows(path).keys()
        for data in folder.files().values():
            if data.startswith(MAGIC):
                spare = folder.root / ".meerkat" / "to read"
                spare.write_bytes(data)
                found |= read_rows(spare).keys()
        return found

    def act(self, one: SimulatedPeer) -> None:
        before = self.marks(one)
        rng, folder = self.rng, self.simulator.folder(one)
        databases = folder.databases()
        path = rng.choice(sorted(databases)) if databases else ""
        chance = rng.random()
        if not databases or chance < 0.08:
            path = rng.choice(PLACES)
            self._make(one, path)
        elif chance < 0.2:
            target = rng.choice(PLACES)
            self.note(one, f"moves {path} to {target}")
            folder.move(path, target)
        elif chance < 0.26:
            self.note(one, f"removes {path}")
            folder.delete(path)
        elif chance < 0.29:
            self.note(one, f"writes a text over {path}")
            folder.write(path, b"text\n")
        elif chance < 0.36:
            self._switch(one)
        else:
            self._change(one, path, databases[path])
        after = self.marks(one)
        self.written |= after - before
        self.removed |= before - after
        if rng.random() < 0.8:
            self.simulator.look(one, delay=rng.choice((0.002, 0.02)))
        if rng.random() < 0.8:
            self.simulator.touch(one)

    def _make(self, one: SimulatedPeer, path: str) -> None:
        folder = self.simulator.folder(one)
        there = folder.nodes.get(path)
        if folder._blocked(path) or (there is not None and there.kind is Kind.FOLDER):
            return
        rows = {self.mark(): "born", "same": self.rng.choice("ab")}
        self.note(one, f"makes {path} {rows}")
        folder.place(path, lambda at: write_rows(at, rows))

    def _switch(self, one: SimulatedPeer) -> None:
        path = self.rng.choice(sorted(self.simulator.folder(one).nodes))
        live = self.rng.random() < 0.5
        self.note(one, f"turns {path} {'on' if live else 'off'}")
        self.simulator.handle(one, DatabaseRequested(1, path, live))

    def _change(self, one: SimulatedPeer, path: str, at: Path) -> None:
        rows = read_rows(at)
        rows["same"] = self.rng.choice("abc")
        mark = self.mark()
        rows[mark] = one.name
        known = sorted(key for key in rows if key.startswith("mark"))
        gone = self.rng.choice(known) if self.rng.random() < 0.3 else ""
        rows.pop(gone, None)
        self.note(one, f"{path}: +{mark} -{gone}")
        write_rows(at, rows)


def play(seed: int, root: Path) -> None:
    rng = Random(f"database places {seed}")
    simulator = RowsSimulator(seed, root, PlainRows, faults=random_faults(rng))
    owners = Owners(simulator, rng)
    owners.act(simulator.found(NAMES[0]))
    simulator.run(0.5)
    share_databases(simulator, rng, owners.note, owners.act)
    check_all(simulator, owners)


def check_all(simulator: RowsSimulator, owners: Owners) -> None:
    settle(simulator, owners.story)
    first = simulator.peers[0]
    for one in simulator.peers:
        for path, at in simulator.folder(one).databases().items():
            other = simulator.folder(first).databases()[path]
            assert read_rows(at) == read_rows(other), f"{one.name}: {path}\n{owners.story}"
    kept = owners.marks(first)
    for one in simulator.peers:  # written at the very moment when a job removed the file
        for at in simulator.folder(one).replaced:
            kept |= read_rows(at).keys()
    owners.check_kept(kept)
    check_quiet(simulator, owners.story)
    check_restart(simulator, owners.story)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_owners(number: int, simulation_seed: int, tmp_path: Path):
    play(number + ROUNDS * simulation_seed, tmp_path)
