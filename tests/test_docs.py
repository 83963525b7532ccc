"""The documentation says what the code does: generated parts, commands, errors, links, words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from docs.generate import MARK, PAGES, PARTS, commands, render
from meerkat import errors
from meerkat.cli.main import cli
from meerkat.cli.printing import Printing

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WRITTEN = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
OURS = [page for page in WRITTEN if page.name not in {"dependencies.md", "glossary.md"}]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
MEERKAT = re.compile(r"`meerkat ([a-z]+)[^`]*`|^    meerkat ([a-z]+)", re.MULTILINE)
MAKE = re.compile(r"`make ([a-z]+)[^`]*`|^    make ([a-z]+)", re.MULTILINE)
MODULE = re.compile(r"`((?:core|node|folder|store|transport|control|cli|testing)/\w+\.\w+)`")
# Words of other systems that the glossary forbids where one of ours is meant.
FOREIGN = re.compile(r"\b(cluster|swarm|workspace|awareness|timestamp|neighbour|colour)s?\b", re.I)
MACHINE = re.compile(r"/(?:tmp|root|work|usr/local)/|/home/(?!alice)\w")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_generated_parts_are_up_to_date(page):
    assert text(page) == render(text(page)), "run `python docs/generate.py`"


def test_every_generated_part_is_in_a_page_once():
    used = [found[2] for page in PAGES for found in MARK.finditer(text(page))]
    assert sorted(used) == sorted(PARTS)


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_and_a_chapter(command):
    result = CliRunner().invoke(cli, [command, "--help"], obj=Printing())
    assert result.exit_code == 0
    first = result.output.splitlines()[2].strip()
    assert first.endswith((".", ",")) or len(first) > 40, "help begins with a sentence"
    assert f"\n### meerkat {command}\n" in text(DOCS / "guide.md")


@pytest.mark.parametrize("command", commands())
def test_every_option_says_what_it_does(command):
    loaded = cli.get_command(cli.make_context("meerkat", [], resilient_parsing=True), command)
    assert loaded is not None
    for parameter in loaded.params:
        if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False):
            assert getattr(parameter, "help", None), f"{command} {parameter.name} has no help"


def test_commands_in_the_pages_exist():
    known = set(commands())
    for page in OURS:
        for found in MEERKAT.finditer(text(page)):
            assert (found[1] or found[2]) in known, f"{name(page)}: {found[0]}"


def test_make_targets_in_the_pages_exist():
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))
    for page in OURS:
        for found in MAKE.finditer(text(page)):
            assert (found[1] or found[2]) in targets, f"{name(page)}: {found[0]}"
    assert {"demo", "test"} <= targets


def test_every_error_is_in_the_guide_with_its_sentence():
    guide = text(DOCS / "guide.md")
    for each in errors.__all__:
        error = getattr(errors, each)
        sentence = " ".join((error.__doc__ or "").split()).replace("``", "`")
        assert f"| `{each}` | {error.exit_code} | {sentence} |" in guide


def links(page: Path) -> Iterator[str]:
    yield from LINK.findall(FENCE.sub("", text(page)))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_links_lead_somewhere(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name(page)}: {link}"


def test_files_and_scripts_in_the_pages_exist():
    for page in OURS:
        for module in MODULE.findall(text(page)):
            assert (ROOT / "src/meerkat" / module).exists(), f"{name(page)}: {module}"
        for script in re.findall(r"\b((?:bench|docs|tests)/\w+\.py)\b", text(page)):
            assert (ROOT / script).exists(), f"{name(page)}: {script}"


def test_functions_in_the_architecture_exist():
    for line in text(DOCS / "architecture.md").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        files = MODULE.findall(line)
        if len(cells) < 5 or not cells[1].isdigit() or not files:
            continue
        code = "\n".join(text(ROOT / "src/meerkat" / file) for file in files)
        for called in re.findall(r"`(?:\w+\.)?(\w+)`", cells[3]):
            assert f"def {called}(" in code, f"step {cells[1]}: {called} is not in {files}"


@pytest.mark.parametrize("page", OURS, ids=name)
def test_words_are_those_of_the_glossary(page):
    prose = MARK.sub("", text(page))
    assert not (found := FOREIGN.search(prose)), f"{found[0]!r}: see docs/glossary.md"


def test_no_page_names_a_path_of_some_machine():
    for page in [*WRITTEN, *DOCS.rglob("*.svg")]:
        assert not (found := MACHINE.search(text(page))), f"{name(page)}: {found[0]}"


def test_decisions_are_numbered_and_listed():
    pages = sorted((DOCS / "decisions").glob("0*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    listed = set(links(DOCS / "decisions" / "README.md"))
    for page in pages:
        assert page.name in listed
        for part in ("Context", "Options", "Choice", "Consequence"):
            assert f"\n## {part}\n" in text(page), f"{page.name}: no {part}"
        number = int(page.name[:4])
        assert text(page).startswith(f"# {number}. ")


def test_the_readme_is_short_and_begins_with_two_commands():
    readme = text(ROOT / "README.md")
    assert len(readme.splitlines()) <= 120
    first = re.findall(r"^    (.+)$", readme, re.MULTILINE)[:2]
    assert [one.split("  ")[0] for one in first] == ["make demo", "make test"]
    assert "docs/images/demo.svg" in readme
