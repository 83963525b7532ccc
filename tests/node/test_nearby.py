from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from meerkat.core.ids import AuthorId, PoolId
from meerkat.node.listening import Reach
from meerkat.node.nearby import (
    Announcement,
    announced_hosts,
    author_tag,
    hear,
    host_of,
    interface_of,
    pool_tag,
    port_of,
)

POOL, OTHER = PoolId(b"p" * 32), PoolId(b"q" * 32)
ALICE, BOB = AuthorId(b"a" * 32), AuthorId(b"b" * 32)
SAID = Announcement(
    author_tag=author_tag(POOL, ALICE),
    pool_tag=pool_tag(POOL),
    hosts=("192.0.2.1", "2001:db8::1"),
    port=7337,
    door=7338,
    pool_name="the merger",
    inviter="alice",
)


def heard(one: Announcement) -> Announcement | None:
    """As it arrives at the other side."""
    properties: dict[bytes, bytes | None] = {
        key.encode(): value.encode() for key, value in one.properties().items()
    }
    return hear(one.author_tag, one.hosts, one.port, properties)


def test_tags_are_the_same_for_all_members_and_say_nothing_else():
    tags = {pool_tag(POOL), pool_tag(OTHER)}
    tags |= {author_tag(p, a) for p in (POOL, OTHER) for a in (ALICE, BOB)}

    assert len(tags) == 6
    assert all(len(tag) == 16 and set(tag) <= set("0123456789abcdef") for tag in tags)
    assert pool_tag(POOL) == "8011770a48a88ffe"  # other versions must say the same


def test_what_is_announced_is_heard():
    assert heard(SAID) == SAID
    assert SAID.links == ("192.0.2.1:7337", "[2001:db8::1]:7337")
    assert SAID.doors == ("192.0.2.1:7338", "[2001:db8::1]:7338")


def test_a_long_name_is_cut_between_letters():
    long = Announcement("t", "p", ("192.0.2.1",), 1, pool_name="é" * 150, inviter="💬" * 64)

    again = heard(long)

    assert again is not None
    assert again.pool_name == "é" * 64
    assert again.inviter == "💬" * 50
    assert all(len(value.encode()) <= 200 for value in long.properties().values())


@given(
    st.text(max_size=300),
    st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=40)), max_size=30),
    st.integers(-5, 100_000),
    st.dictionaries(
        st.one_of(st.sampled_from([b"v", b"p", b"d", b"n", b"i"]), st.binary(max_size=5)),
        st.one_of(st.none(), st.binary(max_size=255), st.integers(0, 10**9).map(b"%d".__mod__)),
    ),
)
def test_nonsense_is_no_announcement_or_a_harmless_one(
    instance: str, hosts: list[str], port: int, properties: dict[bytes, bytes | None]
):
    one = hear(instance, hosts, port, properties)

    if one is not None:
        shown = one.author_tag + one.pool_tag + one.pool_name + one.inviter
        assert shown.isprintable()
        assert len(shown) <= 4 * 64
        assert 1 <= len(one.hosts) <= 8
        assert 0 < one.port <= 65_535
        assert 0 <= one.door <= 65_535
        for host in map(ipaddress.ip_address, one.hosts):
            assert not (host.is_link_local)
            assert not (host.is_multicast)
            assert not (host.is_unspecified)
            assert getattr(host, "ipv4_mapped", None) is None


def test_only_what_leads_to_our_port_is_announced():
    reach = Reach(
        bound="[::]:7337",
        links=("home.example:7337", "203.0.113.1:9", "192.0.2.1:7337", "[2001:db8::1]:7337"),
    )

    assert announced_hosts(reach) == ("192.0.2.1", "2001:db8::1")
    assert announced_hosts(Reach(links=("203.0.113.1:9",))) == ()


def test_who_listens_on_one_address_speaks_there_only():
    assert interface_of("127.0.0.1") == "127.0.0.1"
    assert [interface_of(host) for host in ("::", "0.0.0.0", "", "laptop")] == [""] * 4
    assert (host_of("[::1]:7337"), port_of("[::1]:7337")) == ("::1", 7337)
    assert (host_of(""), port_of("")) == ("", 0)
