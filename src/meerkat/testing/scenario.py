"""What a simulation is asked to do: scenario files, as data.

A scenario is a TOML file: how many peers, which seed, and steps in order, each with a table
``[[steps]]`` whose ``do`` names it. Every class below is a step and its settings; an unknown name
or a wrong value is refused with a sentence.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from meerkat.errors import MeerkatError

__all__ = [
    "Broadcast",
    "Churn",
    "Direct",
    "Join",
    "Kill",
    "Loss",
    "Measure",
    "Meet",
    "Partition",
    "Rest",
    "Save",
    "Scenario",
    "ScenarioError",
    "Step",
    "load",
    "shipped",
]

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e6)]
MAX_PEERS = 100_000
FEW = 50  # whole peers up to so many come in through the door, one by one: a minute


class ScenarioError(MeerkatError):
    """The scenario cannot be played. ``meerkat simulate --help`` shows what there is."""

    exit_code = 2


class _Step(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """Of a scenario."""


class Join(_Step, frozen=True, tag="join"):
    """Everyone comes in, ``rate`` a second, each knowing one entry node.

    ``pools`` parts each have an entry of their own and never hear of each other; ``nat`` is the
    share that can only dial out, ``hostile`` the share that works against the rest (``liars``: and
    claims to have few links). Measured when the network has rested for ``settle`` seconds.
    """

    rate: Annotated[float, Meta(gt=0.0, le=100_000.0)] = 20.0
    pools: Annotated[int, Meta(ge=1, le=16)] = 1
    nat: Share = 0.0
    hostile: Share = 0.0
    liars: bool = False
    settle: Seconds = 120.0


class Rest(_Step, frozen=True, tag="rest"):
    """Nothing happens from outside."""

    seconds: Seconds


class Broadcast(_Step, frozen=True, tag="broadcast"):
    """``count`` messages for all, ``gap`` seconds apart, after ``warm_up`` that do not count."""

    count: Annotated[int, Meta(ge=1, le=10_000)] = 10
    senders: Literal["one", "random"] = "random"
    warm_up: Annotated[int, Meta(ge=0, le=10_000)] = 30
    gap: Seconds = 1.0


class Kill(_Step, frozen=True, tag="kill"):
    """A share of the peers dies at once, the ``entry`` among them; the rest is watched.

    Before it ``warm_up`` broadcasts let the trees grow; one more goes out at the instant.
    """

    share: Share
    entry: bool = True
    watch: Seconds = 30.0
    warm_up: Annotated[int, Meta(ge=0, le=10_000)] = 30


class Churn(_Step, frozen=True, tag="churn"):
    """Peers crash after ``up`` seconds and return after ``down``, exponentially distributed.

    ``entry_leaves`` is when the entry goes for good (s from the start of the step).
    """

    up: Annotated[float, Meta(gt=0.0)]
    down: Annotated[float, Meta(gt=0.0)]
    seconds: Seconds = 1_800.0
    entry_leaves: Seconds | None = 600.0


class Partition(_Step, frozen=True, tag="partition"):
    """The network falls into random parts of these shares for some seconds; then it heals.

    ``save``: meanwhile somebody in each part saves a file of its own, and changes the text that was
    saved first. Whole peers only.
    """

    seconds: Seconds
    shares: Annotated[tuple[Share, ...], Meta(min_length=2, max_length=8)] = (0.5, 0.5)
    watch: Seconds = 60.0
    save: bool = False


class Meet(_Step, frozen=True, tag="meet"):
    """One random peer of the first pool hears of one of the second; then ``die`` of all die."""

    watch: Seconds = 300.0
    die: Share = 0.1


class Direct(_Step, frozen=True, tag="direct"):
    """``count`` messages for one peer each, right after a share of the peers has died."""

    count: Annotated[int, Meta(ge=1, le=10_000)] = 100
    dead: Share = 0.0


class Loss(_Step, frozen=True, tag="loss"):
    """From now on: the share of dials that fail; the chance per message that its link breaks."""

    dials: Share = 0.0
    breaks: Share = 0.0


class Save(_Step, frozen=True, tag="save"):
    """Somebody saves a file of ``size`` bytes; how long until all have it? Whole peers only.

    Waits until the last one has it, or for ``watch`` seconds.
    """

    size: Annotated[int, Meta(ge=1, le=64 * 1024 * 1024)] = 1_000
    kind: Literal["text", "binary"] = "text"
    watch: Seconds = 120.0


class Measure(_Step, frozen=True, tag="measure"):
    """Look at the network as it is."""


Step = Join | Rest | Broadcast | Kill | Churn | Partition | Meet | Direct | Loss | Save | Measure


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole simulation."""

    name: str
    steps: tuple[Step, ...]
    about: str = ""
    peers: Annotated[int, Meta(ge=2, le=MAX_PEERS)] = 100
    seed: int = 1

    def with_(self, *, peers: int | None = None, seed: int | None = None) -> Scenario:
        """The same with another number of peers, or another seed."""
        return msgspec.structs.replace(
            self,
            peers=self.peers if peers is None else peers,
            seed=self.seed if seed is None else seed,
        )

    @property
    def saves(self) -> bool:
        """Whether somebody saves a file, which takes whole peers."""
        return any(
            isinstance(step, Save) or (isinstance(step, Partition) and step.save)
            for step in self.steps
        )


def shipped() -> dict[str, str]:
    """The scenarios that come with meerkat: name -> what it is about."""
    return {name: _decode(text, name).about for name, text in _texts().items()}


def load(named: str) -> Scenario:
    """A shipped scenario by name, or a TOML file by path.

    Raises:
        ScenarioError: if there is none, or it is not right.
    """
    path = Path(named)
    if path.suffix == ".toml":
        try:
            return _decode(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"The scenario {path} cannot be read: {error}.") from error
    texts, name = _texts(), named.replace("-", "_")
    if name not in texts:
        raise ScenarioError(
            f"There is no scenario {named!r}. Take one of {', '.join(texts)}, "
            "or give the path of a .toml file."
        )
    return _decode(texts[name], name)


def _texts() -> dict[str, str]:
    folder = files("meerkat.testing").joinpath("scenarios")
    found = {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def _decode(text: str, name: str) -> Scenario:
    try:
        scenario = msgspec.toml.decode(text, type=Scenario)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ScenarioError(f"The scenario {name} is not right: {error}.") from error
    if not scenario.steps or not isinstance(scenario.steps[0], Join | Loss):
        raise ScenarioError(f"The scenario {name} has to begin with the step join.")
    return scenario
