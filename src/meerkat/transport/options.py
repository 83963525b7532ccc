"""Every number of the transport, with unit and source, and the gRPC arguments made of them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TransportOptions", "channel_arguments", "server_arguments"]

KiB = 1024
MiB = 1024 * KiB


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Bounds and waits of one transport. Times in seconds, sizes in bytes.

    "Measured" is design section 7 or bench/transport_floor.py; where nothing is said, a guess.
    """

    max_frame_bytes: int = MiB + 64 * KiB  # a 1 MiB chunk and its header (design, section 7)
    live_outbox_bytes: int = 8 * MiB  # guess: a burst of 10,000 operations fits many times
    bulk_outbox_bytes: int = 64 * MiB  # guess: callers pace long before
    gather_bytes: int = 256 * KiB  # 0.1 s at 20 Mbit/s: what comes later waits no longer
    gather_frames: int = 1024  # measured: 64 a message already bring 500,000 frames/s; more is free
    receive_frames: int = 512  # frames in one call of the listener
    receive_bytes: int = 256 * KiB  # bytes in one call of the listener, unless one frame is larger
    keepalive: float = 2.0  # s of silence before a ping (measured: a cut is noticed in 1.3-4 s)
    keepalive_timeout: float = 2.0  # s to wait for its answer
    thin_keepalive: float = 10.0  # the same where Live notices first: only ends what is forgotten
    thin_timeout: float = 10.0  # ... where bulk may be in its way (measured: 256 kbit/s needs it)
    heartbeat: float = 2.0  # s of silence on Live until the dialer sends an empty message
    heartbeats_missed: float = 4.5  # s without any until the listener takes the dialer for frozen
    goodbye_wait: float = 0.5  # s at most for queued frames and the goodbye to leave
    dial_timeout: float = 5.0  # s for TCP, TLS and the far end's acceptance together
    pair_timeout: float = 5.0  # s for a link's second stream to arrive
    max_halves: int = 64  # streams waiting for their other half, all members together


def _keepalive_arguments(keepalive: float, answer: float) -> list[tuple[str, int]]:
    interval, timeout = round(keepalive * 1000), round(answer * 1000)
    return [
        ("grpc.keepalive_time_ms", interval),
        ("grpc.keepalive_timeout_ms", timeout),
        # Without this one a frozen process is noticed after 60 s only (measured).
        ("grpc.http2.ping_timeout_ms", timeout),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def channel_arguments(
    options: TransportOptions, name: str, *, bulk: bool = False
) -> list[tuple[str, int | str]]:
    """Arguments of a channel to the peer whose pinned certificate carries ``name``.

    On a thin line the answer to a ping waits behind ``bulk`` for seconds (measured at 1 Mbit/s:
    every 4 s such a link was taken for frozen, and a file never arrived). Live notices instead.
    """
    live = (options.keepalive, options.keepalive_timeout)
    return [
        *_keepalive_arguments(*((options.thin_keepalive, options.thin_timeout) if bulk else live)),
        ("grpc.ssl_target_name_override", name),
        ("grpc.use_local_subchannel_pool", 1),  # each channel is a connection of its own
        ("grpc.enable_retries", 0),  # a link is made anew, never repaired
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.dns_enable_srv_queries", 0),
        ("grpc.enable_http_proxy", 0),  # peer to peer, whatever the environment says
    ]


def server_arguments(options: TransportOptions) -> list[tuple[str, int | str]]:
    """Arguments of the listening server. It has one patience for both connections of a link."""
    shortest = round(options.keepalive * 1000 / 2)
    return [
        *_keepalive_arguments(options.thin_keepalive, options.thin_timeout),
        ("grpc.so_reuseport", 0),  # else two nodes share a port silently (measured)
        # Pings more frequent than this are answered by GOAWAY too_many_pings (measured).
        ("grpc.http2.min_recv_ping_interval_without_data_ms", shortest),
        ("grpc.http2.min_ping_interval_without_data_ms", shortest),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.server_handshake_timeout_ms", 10_000),  # the default lets a mute caller stay 120 s
        ("grpc.max_concurrent_streams", 4),  # a link uses one a connection
    ]
