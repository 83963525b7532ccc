from __future__ import annotations

import pytest

from meerkat.errors import FolderError, MeerkatError
from meerkat.node.addresses import advertised, check_address, local_hosts, parse_listen
from meerkat.node.links import shown_address
from meerkat.node.listening import with_settings
from meerkat.node.options import NodeOptions
from meerkat.store import FolderConfig
from meerkat.transport.addresses import format_address, parse_address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("192.0.2.1:7337", ("192.0.2.1", 7337)),
        ("[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("a.example:65535", ("a.example", 65535)),
    ],
)
def test_addresses_round_trip(text: str, parts: tuple[str, int]):
    assert parse_address(text) == parts
    assert format_address(*parts) == text


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":1", "host:port", "host:65536", "::1:80", "h:-1", "h:\uff11"]
)
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1", ("127.0.0.1", None)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("::1", ("::1", None)),
        ("[::1]", ("::1", None)),
        ("[::1]:80", ("::1", 80)),
        ("laptop", ("laptop", None)),
    ],
)
def test_listen_option(text: str, parts: tuple[str, int | None]):
    assert parse_listen(text) == parts


SAID_NOTHING = NodeOptions()


@pytest.mark.parametrize(
    ("options", "settings", "expected"),
    [
        (SAID_NOTHING, FolderConfig(), SAID_NOTHING),
        (SAID_NOTHING, FolderConfig(listen="::1", port=7), NodeOptions(host="::1", port=7)),
        (SAID_NOTHING, FolderConfig(listen="a:7"), NodeOptions(host="a", port=7)),
        (SAID_NOTHING, FolderConfig(listen="a:7", port=7), NodeOptions(host="a", port=7)),
        (NodeOptions(host="b"), FolderConfig(listen="a", port=7), NodeOptions(host="b", port=7)),
        (NodeOptions(port=0), FolderConfig(listen="a", port=7), NodeOptions(host="a", port=0)),
        (
            NodeOptions(listen=False),
            FolderConfig(listen="a", port=7),
            NodeOptions(listen=False),
        ),
    ],
)
def test_settings_count_where_the_command_line_says_nothing(
    options: NodeOptions, settings: FolderConfig, expected: NodeOptions
):
    assert with_settings(options, settings) == expected


def test_settings_that_cannot_be_say_so():
    with pytest.raises(MeerkatError, match=r"config\.toml: listen = a:b: .*HOST:PORT"):
        with_settings(SAID_NOTHING, FolderConfig(listen="a:b"))
    with pytest.raises(FolderError, match="two different ports"):
        with_settings(SAID_NOTHING, FolderConfig(listen="a:7", port=8))


def test_bad_options_say_what_to_write():
    with pytest.raises(MeerkatError, match="HOST or HOST:PORT"):
        parse_listen("laptop:eighty")
    with pytest.raises(MeerkatError, match="--advertise"):
        check_address("laptop")


def test_a_bound_address_is_advertised_as_it_is_and_a_wildcard_as_this_machine():
    assert advertised("127.0.0.1:7") == ("127.0.0.1:7",)
    assert advertised("127.0.0.1:7", ("outside:9",)) == ("outside:9", "127.0.0.1:7")

    found = advertised("[::]:7337")

    assert 1 <= len(found) <= 8
    assert all(parse_address(address)[1] == 7337 for address in found)
    assert not any(host.startswith(("0.0.0.0", "fe80")) for host in local_hosts())


def test_mapped_addresses_are_shown_as_people_write_them():
    assert shown_address("[::ffff:192.0.2.7]:80") == "192.0.2.7:80"
    assert shown_address("[2001:db8::1]:80") == "[2001:db8::1]:80"
    assert shown_address("192.0.2.7:80") == "192.0.2.7:80"
