"""`meerkat join` without an invitation: who expects somebody, and what to do about it."""

from __future__ import annotations

import json
from functools import partial

import pytest

from meerkat.cli.main import run
from meerkat.node import join
from tests.faces.conftest import MakePeer
from tests.node.own_network import why_no_multicast

NO_MULTICAST = why_no_multicast()
pytestmark = pytest.mark.skipif(bool(NO_MULTICAST), reason=NO_MULTICAST)
HERE = ["--discover", "--listen", "127.0.0.1"]
NAME = "alice-of-this-test"  # other tests share loopback


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "nearby", partial(join.nearby, within=1.5))


def looked(capfd: pytest.CaptureFixture[str], *options: str, until: str) -> tuple[str, str]:
    """What `meerkat join` prints and complains once a word is there: it may take two seconds."""
    for _ in range(20):
        assert run(["join", *HERE, *options]) == 5
        said = capfd.readouterr()
        if until in said.out:
            return said.out, said.err
    raise TimeoutError(f"{until} is never seen")


def test_join_alone_shows_who_invites(peer: MakePeer, capfd: pytest.CaptureFixture[str]):
    alice = peer(NAME)
    ready = alice.start("share", "--discover")

    shown, complaint = looked(capfd, "--json", until=f'"pool_name":"{NAME}"')

    *found, problem = [json.loads(line) for line in shown.splitlines()]
    (hers,) = [one for one in found if one["pool_name"] == NAME]
    assert problem["exit_code"] == 5
    assert "meerkat invite" in complaint
    assert hers["inviter"] == NAME
    host, _, port = hers["address"].partition(":")
    assert host == "127.0.0.1"
    assert port != ready["address"].partition(":")[2], "the door's, not the links'"

    shown, _ = looked(capfd, until=f"{NAME} invites, at 127.0.0.1:{port}")
    assert ready["pool"][:16] not in shown


def test_join_alone_and_told_not_to_look(capfd: pytest.CaptureFixture[str]):
    assert run(["join", "--no-discover"]) == 5

    said = capfd.readouterr()
    assert said.out == ""
    assert "To enter a pool you need an invitation" in said.err
