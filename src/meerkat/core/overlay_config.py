"""The overlay's numbers: times in seconds, the rest counts, each from overlay.md unless said."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OverlayConfig"]


@dataclass(frozen=True, slots=True)
class OverlayConfig:
    """How many links, how fast, how much of others to keep."""

    # -- links
    links_min: int = 5
    own_min: int = 3
    """Of our own choice: what greedy others cannot take."""
    walks_min: int = 2
    """JOIN_REQs of a newcomer: they spread links evenly, beyond what its first neighbors know."""
    links_max: int = 16
    clients_max: int = 48
    """Beyond the 16: for those who can only dial out."""
    guests_max: int = 256
    guest_time: float = 30.0
    guest_links_min: int = 2
    """A guest that has fewer links of its own by then stays as a neighbor."""
    shed_above: int = 6
    """Only links are shed whose far end has more, so nobody falls below the minimum by it."""
    small_pool: int = 6
    """Up to here everyone links to everyone."""
    block_links_max: int = 2
    """Own links into one /24 or /48."""
    anchors: int = 2
    hello_timeout: float = 5.0
    silent_after: float = 35.0
    """Three Beats missed and a half: its loop hangs though its TLS answers."""

    # -- walks
    warm: int = 6
    ttl: int = 24
    walk_retry: float = 3.0
    """s until a walk that nobody answered is given up."""
    walk_pace: float = 1.0
    """Between walks while links are lacking; doubled up to ``walk_retry_max`` as long as nothing
    changes (guess)."""
    walk_retry_max: float = 60.0
    path_time: float = 30.0
    """The way back of a JOIN_REQ is kept for so long."""
    paths_max: int = 4096
    revisits_max: int = 8
    answers_max: int = 4
    """Offers and hints that go back along one walk."""
    walk_rate: float = 200.0
    walk_burst: float = 400.0
    """JOIN_REQs a second and link; an entry sends on what many newcomers ask (overlay.md: 10/s and
    50 for each origin, which a forwarder cannot tell)."""
    flood_excess: int = 2000
    """Walks beyond the rate until the link is closed (guess)."""

    # -- dialling
    redial_first: float = 0.1
    redial_max: float = 30.0
    """Between attempts at one author while we lack links."""
    redial_eager: float = 0.5
    """... at a neighbor lost less than ``eager_for`` ago, so that a healed cut is noticed within a
    second."""
    eager_for: float = 600.0
    eager_pool: int = 16
    """In larger pools lost neighbors get only half of the attempts: others are as good."""
    dial_patience: float = 5.0
    """For an attempt; a satellite's round trips fit."""
    dial_impatience: float = 0.8
    """... of most attempts while a lost link is dialled eagerly: one begun in the silence of a cut
    would wait for TCP's next repetition long after the heal."""
    dials_max: int = 8
    dials_alone: int = 2
    """At first while alone; doubled by each failure."""
    accepts_max: int = 8
    """Origins of walks being dialled at once (guess)."""
    tries_rate: float = 3.0
    tries_burst: float = 5.0
    own_every: float = 5.0
    """Between tries for more own links when there are enough links (guess)."""
    own_refresh: float = 60.0
    """Between changes of own links that the sampler would not choose any more; 0 is never
    (guess)."""
    fresh_for: float = 60.0
    """A newcomer seeks its own links at full pace for so long (guess)."""
    probe_every: float = 10.0
    probe_pool: int = 100
    """... in pools of this size or more; in smaller ones those who were lost have more turns, so
    that all together notice within a second that a cut has healed (guess)."""
    probe_first: float = 10.0
    probe_max: float = 600.0
    probes_max: int = 8

    # -- the address book
    book_size: int = 256
    contacts_each: int = 8
    contacts_rate: float = 10.0
    contacts_burst: float = 100.0
    """Contacts a second and link that are looked at: each may cost a signature (guess)."""
    shuffle_every: float = 30.0
    """Between exchanges of contacts with a random neighbor; 0 is never."""
    forged_max: int = 3
    distrust_for: float = 600.0

    # -- beacon and merging
    beat_every: float = 10.0
    beat_gap: float = 1.0
    """At least so long between Beats that tell of a changed degree."""
    beacon_every: float = 10.0
    beacon_lost: float = 30.0
    beacon_stable: float = 10.0
    beacon_settled: float = 3.0
    """... if it replaces one that fell silent for all at the same time (guess)."""
    beacon_pace: float = 0.2
    """s for each peer of the pool that may speak first when the beacon is lost: its flood takes
    about as long (guess)."""
    merge_every: float = 10.0
    merge_chance: float = 0.125
    merge_all_below: int = 32
    merge_contacts: int = 24
    merge_part: int = 8
    """Contacts in a hint from a part that is not tiny; fewer make fewer dial (guess)."""
    reunion_chance: float = 0.5
    """... of each who hears that two parts met, to dial one of those it lost (guess)."""
    reunion_within: float = 5.0
    """Spread of the dials to those we lost, once we hear that two parts met (guess)."""
    merge_warm: int = 6
    notices: bool = True
    """Tell people what happens in the network (a simulation of thousands has nobody to tell)."""
