"""`meerkat demo` is the shortest proof that everything works together."""

from __future__ import annotations

import json
import time

from meerkat.cli.demo_story import differences
from tests.faces.conftest import Meerkat


def test_the_demo_tells_its_story_and_ends_well(meerkat: Meerkat):
    began = time.monotonic()

    shown = meerkat("demo", "--size", 5, "--json")

    assert shown.returncode == 0, shown.stdout + shown.stderr
    told = [json.loads(line)["text"] for line in shown.stdout.splitlines()]
    assert told[-1].startswith("All three folders are byte-identical")
    for word in ("join", "at once", "splits", "heals", "kill -9", "catches"):
        assert any(word in line for line in told), word
    assert time.monotonic() - began < 60


def test_differences_name_the_paths():
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
