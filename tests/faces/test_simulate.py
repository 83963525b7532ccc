"""`meerkat simulate`: what it prints, for people and for programs, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from meerkat.cli.simulate_view import finding_table, shown
from meerkat.testing.overlay_anchors import MEASURES, PROTOCOLS, TABLES, anchors, figure
from meerkat.testing.play import Finding
from meerkat.testing.plots import NoPlots, check_plots
from meerkat.testing.scenario import ScenarioError, load, shipped
from tests.faces.conftest import Meerkat

STORY = """
name = "story"
about = "A few come, half go."
peers = 500
seed = 3

[[steps]]
do = "join"
rate = 100
settle = 5

[[steps]]
do = "broadcast"
count = 2
warm_up = 0
gap = 0.1

[[steps]]
do = "kill"
share = 0.5
watch = 5
warm_up = 0
"""


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.toml"
    path.write_text(STORY)
    return path


def test_people_see_tables_and_a_trace_that_repeats(meerkat: Meerkat, story: Path):
    first = meerkat("simulate", story, "--peers", 16)
    again = meerkat("simulate", story, "--peers", 16)
    other = meerkat("simulate", story, "--peers", 16, "--seed", 4)

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("story: 16 peers, seed 3\nA few come, half go.\n")
    for text in ("joining at 100/s", "broadcast, tree random", "killed at once: 50 %", "reached"):
        assert text in first.stdout
    trace = re.compile(r"Trace (\w{16})")
    assert trace.findall(first.stdout) == trace.findall(again.stdout) != trace.findall(other.stdout)
    assert "\x1b" not in first.stdout, "no colors into a pipe"


def test_programs_get_json_lines(meerkat: Meerkat, story: Path):
    done = meerkat("simulate", story, "--peers", 16, "--json")

    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0] == {"event": "simulation", "name": "story", "peers": 16, "seed": 3}
    assert events[-1]["event"] == "summary"
    assert events[-1]["events"] > 100
    found = {one["table"]: one["figures"] for one in events if one["event"] == "found"}
    assert set(found) == {"rate", "broadcast", "kill", "tree after kill"}
    assert found["broadcast"]["reached"] == 100.0
    progress = [one for one in events if one["event"] == "progress"]
    assert {one["step"] for one in progress} == {"join", "settle", "broadcast", "kill"}


def test_the_shipped_scenarios_are_listed(meerkat: Meerkat):
    done = meerkat("simulate", "--list")

    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == sorted(shipped())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "There is no scenario 'nowhere'. Take one of churn"),
        (["missing.toml"], "The scenario missing.toml cannot be read"),
        (["kill_half", "--plot", "picture.gif"], "A picture's name ends in .png or .svg"),
        (["whole_pool"], "The scenario whole pool saves files"),
        (["churn", "--full"], "Whole peers (--full) cannot play the step churn"),
        (["kill_half", "--full", "--peers", "5000"], "--full takes at most 1000 peers"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_sentence(meerkat: Meerkat, arguments, sentence):
    done = meerkat("simulate", *arguments)

    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = 'x'", "is not right"),
        ("name = 'x'\nsteps = []", "has to begin with the step join"),
        ("name = 'x'\n[[steps]]\ndo = 'rest'\nseconds = 1", "has to begin with the step join"),
        ("name = 'x'\n[[steps]]\ndo = 'dance'", "is not right"),
        ("name = 'x'\n[[steps]]\ndo = 'join'\nspeed = 3", "is not right"),
        ("name = 'x'\npeers = 1\n[[steps]]\ndo = 'join'", "is not right"),
        ("name = 'x'\n[[steps]]\ndo = 'join'\nnat = 1.5", "is not right"),
        ("this is no TOML", "is not right"),
    ],
)
def test_a_wrong_scenario_is_refused(tmp_path: Path, text, sentence):
    path = tmp_path / "wrong.toml"
    path.write_text(text)

    with pytest.raises(ScenarioError, match=sentence):
        load(str(path))


def test_a_picture_is_drawn(meerkat: Meerkat, story: Path, tmp_path: Path):
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("needs matplotlib: install meerkat-p2p[plots] to include it")
    for ending, begins in ((".svg", b"<?xml"), (".png", b"\x89PNG")):
        path = tmp_path / f"picture{ending}"

        done = meerkat("simulate", story, "--peers", 12, "--plot", path)

        assert done.returncode == 0, done.stderr
        assert f"The picture is {path}." in done.stdout.replace("\n", "")
        assert path.read_bytes().startswith(begins)


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(NoPlots, match=r"pip install 'meerkat-p2p\[plots\]'"):
        check_plots(tmp_path / "picture.png")


def test_a_picture_needs_a_folder(tmp_path: Path):
    with pytest.raises(NoPlots, match="There is no folder"):
        check_plots(tmp_path / "none" / "picture.png")


# -- the anchors ----------------------------------------------------------------------------


def test_the_anchors_are_as_their_document_says():
    """Spot checks; the whole table was copied by a script."""
    assert figure("joined", 1000, "", "M", "path") == "3.30"
    assert figure("joined", 10_000, "", "A", "entry_degree") == "340"
    assert figure("kill", 1000, "80 %", "C", "reached_before") == "3.5"
    assert figure("kill", 10_000, "95 %", "M", "to_one") == "10"
    assert figure("partition", 1000, "600 s", "C", "to_one") == "never"
    assert figure("nat", 1000, "80 %", "C", "nat_in_main") == "2.7"
    assert figure("churn", 1000, "600/300 s", "M", "reached_mean") == "99.93"
    assert figure("direct", 1000, "30 %", "M", "delivered") == "96.5"
    assert figure("direct", 1000, "30 %", "C", "delivered") == ""


def test_every_measure_of_the_anchors_has_words():
    for table in TABLES:
        for case in ("", "50 %", "20/s", "600 s", "tree random", "5 %", "600/300 s"):
            for peers in (1000, 10_000):
                for one in anchors(table, peers, case):
                    assert set(one.figures) <= set(MEASURES)


def test_others_stand_beside_ours_in_the_same_case():
    finding = Finding("kill", 1000, "80 %", {"to_99": 3.0, "to_one": "never"})

    table = finding_table(finding)

    names = [PROTOCOLS[one.protocol] for one in anchors("kill", 1000, "80 %")]
    assert [str(column.header) for column in table.columns] == ["", "here", *names]
    assert list(table.columns[1].cells) == ["3", "never"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.14159, "3.14"), (31.4159, "31.4"), (12345.6, "12,346"), ("never", "never")],
)
def test_figures_have_the_digits_they_deserve(value, text):
    assert shown(value) == text
