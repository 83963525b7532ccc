"""How a peer paces and bounds itself: one configuration per layer, and the few of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from .blobs import BlobsConfig
from .cursors import CursorsConfig
from .network import NetworkConfig
from .planner import PlannerConfig
from .replica import ReplicaConfig
from .sync import SyncConfig
from .talk import TalkConfig

__all__ = ["PeerConfig"]


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """One configuration per layer."""

    replica: ReplicaConfig = field(default_factory=ReplicaConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    talk: TalkConfig = field(default_factory=TalkConfig)
    blobs: BlobsConfig = field(default_factory=BlobsConfig)
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    cursors: CursorsConfig = field(default_factory=CursorsConfig)
    first_sync_timeout: float = 10.0
    """s that a newcomer waits for the pool's files before it looks at its own folder."""
    own_head_timeout: float = 1.0
    """s after a start to ask neighbors for our own head before we look and write (guess)."""
    trust_store: bool = False
    """Whoever made us vouches that the store is no copy and not put back (its mark, its place, a
    clean stop or the same boot): with nobody to ask, we go on under our own name. Otherwise we
    would take a new one at every start alone."""
