"""Relative positions made by yjs are ours, and both find them at the same place."""

from __future__ import annotations

import random
from base64 import b64decode
from collections.abc import Iterator

import pytest

from meerkat.core.anchors import Anchors
from meerkat.core.edits import Edit
from meerkat.core.text import Text
from meerkat.core.text_update import parse_update
from meerkat.core.y_protocol import encode_update
from tests.interop.yjs_clients import YjsClients


@pytest.fixture
def yjs(npm_packages: None) -> Iterator[YjsClients]:
    with YjsClients() as clients:
        yield clients


@pytest.mark.parametrize("seed", range(8))
def test_places_are_those_of_yjs(yjs: YjsClients, seed: int) -> None:
    rng = random.Random(seed)
    yjs(1, "make", gc=bool(seed % 2), clientID=1)
    text = Text(2**40)
    anchors = Anchors(text)
    for step in range(6):
        yjs(1, "scribble", seed=seed * 100 + step, count=40)
        size = len(text.text)
        cuts = sorted(rng.choices(range(size + 1), k=4))
        edits = [Edit(cuts[0], cuts[1] - cuts[0], "é😀"), Edit(cuts[2], cuts[3] - cuts[2], "")]
        yjs.hear(1, [encode_update(data) for data in text.edit(edits)])
        data = b64decode(yjs(1, "update"))
        parsed = parse_update(data)
        text.apply(data, parsed.clients.keys())
        content = text.text
        assert yjs(1, "text") == content

        units = [len(content[:at].encode("utf-16-le")) // 2 for at in range(len(content) + 1)]
        for place, at in zip(yjs(1, "place", indexes=units), range(len(units)), strict=True):
            item = anchors.item_at(at)
            theirs = place.get("item")
            assert item == (theirs and (theirs["client"], theirs["clock"]))

        all_ids = [(client, clock) for client, end in text.clocks.items() for clock in range(end)]
        some = rng.sample(all_ids, min(80, len(all_ids)))  # deleted ones too
        for after in (False, True):
            places = [
                {"item": {"client": client, "clock": clock}, "assoc": -1 if after else 0}
                for client, clock in some
            ]
            for each, theirs in zip(some, yjs(1, "find", places=places), strict=True):
                ours = anchors.offset_of(each, after=after)
                assert ours is not None
                assert units[ours] in (theirs, theirs - 1), "at the character, or half way in it"
                assert units[ours] == theirs or text.text[ours] > "\uffff"
