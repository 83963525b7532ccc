"""What is committed is public: no registry's host, no path of the machine it was written on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 4 * 1024 * 1024  # larger files are data, not text
SKIPPED = {".git", ".venv", "build", "dist", "node_modules", "__pycache__"}


def _spell(*pieces: str) -> str:
    """Put a forbidden word together, so that this file does not hold it."""
    return "".join(pieces)


HOSTS = [
    _spell("pypi", ".org"),
    _spell("python", "hosted", ".org"),
    _spell("deb.", "debian", ".org"),
    _spell("security.", "debian", ".org"),
    _spell("archive.", "ubuntu", ".com"),
    _spell("registry.", "npmjs", ".org"),
    _spell("registry.", "yarnpkg", ".com"),
    _spell("crates", ".io"),
    _spell("proxy.", "golang", ".org"),
    _spell("conda.", "anaconda", ".org"),
]
# A registry named by option or by the shape of its address, whatever its host.
SOURCES = [
    _spell("--(extra-)?index", r"-url[ =]\S+"),
    _spell("--trusted", r"-host[ =]\S+"),
    _spell(r"https?://[^\s\"'<>]+/simp", r"le/?(?=[\s\"'<>]|$)"),
]
# Folders of a developer's own machine. Examples use ~, /srv or a relative path.
PATHS = [
    _spell(r"(?<![\w.])/wo", r"rk/(main|shared|\.library|\.mirror)\b"),
    _spell(r"(?<![\w.~])/ho", r"me/[a-z_][\w.-]*"),
    _spell(r"(?<![\w.~])/Us", r"ers/[A-Za-z_][\w.-]*"),
    _spell(r"(?<![\w.~])/ro", r"ot/"),
    _spell(r"[A-Za-z]:\\+Us", r"ers\\+"),
    _spell(r"(?<![\w.~])/tmp/ve", r"nv\b"),
]
FORBIDDEN = re.compile(
    "|".join([*(re.escape(host) for host in HOSTS), *SOURCES, *PATHS]), re.MULTILINE
)


def findings(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if found := FORBIDDEN.search(line):
            yield f"{name}:{number}: '{found[0]}' names a registry or a machine; leave it out"


def _public_files() -> list[Path]:
    """What git knows or is about to; without git, or outside a clone, all but the known refuse."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        if listing.returncode == 0:
            names = listing.stdout.decode("utf-8", "surrogateescape").split("\0")
            return [ROOT / name for name in names if name]
    return [
        path for path in ROOT.rglob("*") if not SKIPPED.intersection(path.relative_to(ROOT).parts)
    ]


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(_public_files()):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            yield path.relative_to(ROOT).as_posix(), content.decode("utf-8", "replace")


def test_nothing_names_a_registry_or_a_machine() -> None:
    found = [line for name, text in _texts() for line in findings(name, text)]

    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_found(host: str) -> None:
    assert list(findings("a.md", f"see https://{host}/x"))


@pytest.mark.parametrize(
    "text",
    [
        _spell("/wo", "rk/main/src"),
        _spell("cd /ho", "me/alice"),
        _spell("'/ro", "ot/.cache'"),
        _spell("C:\\Us", "ers\\alice"),
        _spell("pip install --index", "-url https://mirror.example/x"),
        _spell("url = https://mirror.example/root/simp", "le/"),
    ],
)
def test_a_machine_is_found(text: str) -> None:
    assert list(findings("a.md", text))


@pytest.mark.parametrize(
    "text",
    [
        "pip install meerkat-p2p",
        "~/notes, /srv/notes, notes/home/alice.txt",
        "https://github.com/y-crdt/pycrdt",
        "the /root of the tree",
    ],
)
def test_the_innocent_is_left_alone(text: str) -> None:
    assert not list(findings("a.md", text))
