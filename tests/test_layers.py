"""The shape of the source: arrows of import point down, and a few habits that no linter knows.

    cli · testing               faces; what is shipped for tests
    web · tui · editors         the page's server, the terminal editor, people's own editors
    api                         the Python API
    control                     the node for another process, over a local socket
    node                        the hands
    transport · store · folder  adapters, which do not know each other
    rows                        a process of its own: live databases
    core                        the mind: no loop, socket, file, clock, dice
    errors                      at the bottom, for all

Every finding names file, line and rule. An exception is written into a table here, with its reason.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "meerkat"
TESTS = ROOT / "tests"

# ---------------------------------------------------------------------------------------- the rules

# Which parts of the package a part may import. Itself is understood, `errors` is at the bottom.
BELOW: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "core": frozenset({"errors"}),
    "transport": frozenset({"core", "errors"}),
    "store": frozenset({"core", "errors"}),
    "folder": frozenset({"core", "errors"}),
    "rows": frozenset({"core", "errors"}),
    "node": frozenset({"core", "errors", "transport", "store", "folder", "rows"}),
    "control": frozenset({"core", "errors", "node", "rows"}),
    "api": frozenset({"core", "errors", "node", "control", "web"}),
    "web": frozenset({"core", "errors", "node", "control"}),
    "tui": frozenset({"core", "errors", "node", "control"}),
    "editors": frozenset({"core", "errors", "node", "control"}),
    "testing": frozenset(
        {"core", "errors", "transport", "store", "folder", "rows", "node", "api", "control"}
    ),
    # cli may run the simulator (`meerkat simulate`), so it also sees testing; adapters never.
    "cli": frozenset(
        {"core", "errors", "node", "api", "control", "testing", "web", "tui", "editors"}
    ),
    "__main__": frozenset({"cli"}),
    "__init__": frozenset({"api", "core", "errors", "node"}),  # the shop window
}

# Of a part that runs in a process of its own, what others may import: what is said to it.
DOORS: dict[str, frozenset[str]] = {
    "rows": frozenset({"frames", "values", "wire", "working"}),
}
MAY_ENTER = frozenset({"testing"})  # the simulator runs everything in one process

# Where a library may be imported: a part, or one file of it. Another home is a decision.
HOMES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("web",),
    "apsw": ("rows",),
    "blake3": ("core", "store", "folder", "rows", "node", "transport", "testing"),
    "click": ("cli",),
    "cryptography": ("core/signing.py", "core/operation.py", "transport", "testing"),
    "grpc": ("transport",),
    "hypothesis": ("testing",),
    "inotify_simple": ("folder",),
    "matplotlib": ("testing/plots.py",),
    "msgspec": ("core", "transport", "store", "folder", "rows", "node", "control", "testing"),
    "nacl": ("core/sealed.py",),
    "pathspec": ("folder",),
    "prompt_toolkit": ("cli",),
    "pycrdt": ("core/text.py", "core/anchors.py", "tui"),
    "pyfastcdc": ("core/chunks.py",),
    "pytest": ("testing",),
    "rapidfuzz": ("core/diff.py",),
    "pygments": ("tui/highlight.py",),
    "rich": ("cli", "tui"),
    "sqlite3": ("store", "folder", "testing"),
    "textual": ("tui",),
    "watchdog": ("folder",),
    "xxhash": ("rows/tracker.py",),
    "zeroconf": ("node/discovery.py",),
}

# What would let time, chance, the disk or the network into the core by the back door.
# fmt: off
IMPURE = frozenset({
    "asyncio", "concurrent", "datetime", "ftplib", "glob", "http", "logging", "mmap",
    "multiprocessing", "os", "pathlib", "queue", "sched", "secrets", "select", "selectors",
    "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile",
    "threading", "time", "urllib", "uuid",
})
# fmt: on
IMPURE_CALLS = frozenset({"breakpoint", "exec", "eval", "input", "open", "print"})

MAX_CODE_LINES = 400
TOO_LONG: dict[str, str] = {}  # file -> why it is best read in one place
NO_NAMES = frozenset({"util", "utils", "helper", "helpers", "manager", "misc", "common"})

# Files that start a task outside a TaskGroup -> where the task is kept, and who awaits it.
KEPT_TASKS: dict[str, str] = {
    "transport/grpc_transport.py": "kept in _dialed with its future; close() awaits them all",
}
# Files that may catch BaseException and not simply raise it again -> why.
CATCHES_ALL: dict[str, str] = {
    "core/text.py": "the engine's PanicException is a BaseException; interrupts are raised again",
    "tui/document.py": "the same engine; interrupts are raised again",
    "transport/grpc_transport.py": "a failed dial is raised in whoever waits for it",
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


# ---------------------------------------------------------------------------------- reading sources


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file, parsed once."""

    name: str  # relative to its root, with slashes
    text: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """The layer a file of the package belongs to."""
        return self.name.partition("/")[0].removesuffix(".py")

    def found(self, node: ast.AST | int, rule: str) -> str:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.name}:{line}: {rule}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, with `from` names kept: `from . import x` may import a module x."""

    module: str
    names: tuple[str, ...]
    node: ast.stmt


def _source(path: Path, root: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(root).as_posix(), text, ast.parse(text, str(path)))


@cache
def _package() -> tuple[Source, ...]:
    return tuple(_source(path, PACKAGE) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def _tests() -> tuple[Source, ...]:
    return tuple(_source(path, TESTS) for path in sorted(TESTS.rglob("*.py")))


def _imports(source: Source) -> Iterator[Import]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), node)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(_absolute(source, node), names, node)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    folders = ["meerkat", *source.name.split("/")[:-1]]
    base = folders[: len(folders) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _parts_imported(found: Import) -> Iterator[str]:
    """The layers one import statement reaches."""
    head, _, rest = found.module.partition(".")
    if head != "meerkat":
        return
    if rest:
        yield rest.partition(".")[0]
        return
    for name in found.names:
        yield name if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists() else "__init__"
    if not found.names:
        yield "__init__"


def _dotted(node: ast.expr) -> str:
    """`asyncio.create_task` for the attribute access it is written as."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Name):
        return node.id
    return "()" if isinstance(node, ast.Call) else "?"


def _calls(source: Source) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield _dotted(node.func), node


# ------------------------------------------------------------------------------------------- checks


def upward_imports(source: Source) -> Iterator[str]:
    if source.part not in BELOW:
        yield source.found(1, f"'{source.part}' is no layer; name its place in BELOW")
        return
    allowed = BELOW[source.part] | {source.part}
    for found in _imports(source):
        for part in _parts_imported(found):
            if part not in allowed:
                rule = f"{source.part} must not import meerkat.{part}: imports point down"
                yield source.found(found.node, rule)


def behind_closed_doors(source: Source) -> Iterator[str]:
    for found in _imports(source):
        head, _, rest = found.module.partition(".")
        part, _, module = rest.partition(".")
        if head != "meerkat" or part not in DOORS or part == source.part:
            continue
        reached = [module.partition(".")[0]] if module else list(found.names)
        if source.part not in MAY_ENTER and not DOORS[part].issuperset(reached):
            rule = f"meerkat.{part} is another process: only {', '.join(sorted(DOORS[part]))}"
            yield source.found(found.node, rule)


def libraries_away_from_home(source: Source) -> Iterator[str]:
    for found in _imports(source):
        library = found.module.partition(".")[0]
        homes = HOMES.get(library)
        if homes is None:
            if library != "meerkat" and library not in sys.stdlib_module_names:
                yield source.found(found.node, f"'{library}' has no home; give it one in HOMES")
        elif source.part not in homes and source.name not in homes:
            rule = f"{library} may be imported only in {', '.join(homes)}"
            yield source.found(found.node, rule)


def impurities(source: Source) -> Iterator[str]:
    if source.part != "core":
        return
    for found in _imports(source):
        if found.module.partition(".")[0] in IMPURE:
            yield source.found(found.node, f"the core must not import {found.module}: it is pure")
        if found.module == "random" and set(found.names) - {"Random"}:
            yield source.found(found.node, "the core takes a random.Random, it never makes chance")
    for name, call in _calls(source):
        if name in IMPURE_CALLS:
            yield source.found(call, f"the core must not call {name}(): it is pure")
        if name in {"random.Random", "Random"} and not call.args:
            yield source.found(call, "a Random without a seed cannot be replayed: take it in")
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.AsyncFunctionDef, ast.Await)):
            yield source.found(node, "the core has no coroutines: events in, effects out")
        dotted = _dotted(node) if isinstance(node, ast.Attribute) else ""
        if dotted.startswith("random.") and dotted != "random.Random":
            yield source.found(node, "the core takes a random.Random, it never makes chance")


def too_long(source: Source) -> Iterator[str]:
    lines = code_lines(source)
    if lines > MAX_CODE_LINES:
        rule = f"{lines} lines of code, {MAX_CODE_LINES} are allowed: find the seam"
        yield source.found(1, rule)


def empty_name(source: Source) -> Iterator[str]:
    words = set(source.name.removesuffix(".py").replace("/", "_").split("_"))
    for word in sorted(words & NO_NAMES):
        yield source.found(1, f"no module is named '{word}': name it by the noun it holds")


def missing_docstring(source: Source) -> Iterator[str]:
    private = Path(source.name).name.startswith("_") and not source.name.endswith("__init__.py")
    if private or not source.text.strip():
        return  # an empty __init__.py marks a folder whose files are still to come
    if not ast.get_docstring(source.tree):
        yield source.found(1, "a module begins by saying what it decides and what it does not")


def unfinished(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := UNFINISHED.search(line):
            yield source.found(number, f"{found[1]}: finish it, or open an issue and name it")


def loose_tasks(source: Source) -> Iterator[str]:
    """A TaskGroup is known by its name: `group`, `tg`, or something that ends in `_group`."""
    for name, call in _calls(source):
        receiver, _, method = name.rpartition(".")
        if method not in {"create_task", "ensure_future"}:
            continue
        owner = receiver.rpartition(".")[2]
        if not (owner in {"group", "tg"} or owner.endswith("_group")):
            rule = f"{name}() outside a TaskGroup: who awaits it? (KEPT_TASKS, if somebody does)"
            yield source.found(call, rule)


def catching_everything(source: Source) -> Iterator[str]:
    """A handler that ends in a bare ``raise`` undoes something and swallows nothing."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler) or not _catches_all(node.type):
            continue
        last = node.body[-1]
        if not (isinstance(last, ast.Raise) and last.exc is None):
            rule = "`except BaseException` swallows interrupts too: catch what can happen here"
            yield source.found(node, rule)
    for name, call in _calls(source):
        if name.endswith("suppress") and any(_catches_all(argument) for argument in call.args):
            yield source.found(call, "suppress(BaseException) swallows interrupts too")


def _catches_all(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(_catches_all(member) for member in caught.elts)
    return _dotted(caught).rpartition(".")[2] == "BaseException"


def sleeps(source: Source) -> Iterator[str]:
    """For tests. ``asyncio.sleep(0)`` only lets the others have a turn."""
    imported = {
        name
        for found in _imports(source)
        if found.module in {"time", "asyncio"}
        for name in found.names
    }
    for name, call in _calls(source):
        if name == "time.sleep" or (name == "sleep" and "sleep" in imported):
            yield source.found(call, "a test never sleeps: wait for the condition")
        elif name == "asyncio.sleep" and not _is_zero(call):
            rule = "a test never sleeps: wait for the condition (asyncio.sleep(0) is allowed)"
            yield source.found(call, rule)


def _is_zero(call: ast.Call) -> bool:
    argument = call.args[0] if call.args else None
    return isinstance(argument, ast.Constant) and argument.value == 0


def code_lines(source: Source) -> int:
    """Lines that hold code: blank ones, comments and docstrings are free."""
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - _docstring_lines(source.tree))


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            lines.update(range(value.lineno, (value.end_lineno or value.lineno) + 1))
    return lines


Check = Callable[[Source], Iterator[str]]

SOURCE_CHECKS: list[Check] = [
    upward_imports,
    behind_closed_doors,
    libraries_away_from_home,
    impurities,
    too_long,
    empty_name,
    missing_docstring,
    unfinished,
    loose_tasks,
    catching_everything,
]
EXCEPTIONS: dict[Check, dict[str, str]] = {
    too_long: TOO_LONG,
    loose_tasks: KEPT_TASKS,
    catching_everything: CATCHES_ALL,
}


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda check: check.__name__)
def test_source(check: Check) -> None:
    excused = EXCEPTIONS.get(check, {})
    findings = [
        f"src/meerkat/{line}"
        for source in _package()
        if source.name not in excused
        for line in check(source)
    ]

    assert not findings, "\n" + "\n".join(findings)


def test_tests_never_sleep() -> None:
    findings = [f"tests/{line}" for source in _tests() for line in sleeps(source)]

    assert not findings, "\n" + "\n".join(findings)


@pytest.mark.parametrize("check", EXCEPTIONS, ids=lambda check: check.__name__)
def test_exceptions_are_still_needed(check: Check) -> None:
    """An exception that outlives its case hides the next one."""
    excused = [source for source in _package() if source.name in EXCEPTIONS[check]]

    assert [source.name for source in excused if not list(check(source))] == []


# ---------------------------------------------------------------------- do the checks find anything


def _findings(name: str, text: str, check: Check) -> list[str]:
    return list(check(Source(name, text, ast.parse(text))))


@pytest.mark.parametrize(
    ("name", "text", "check"),
    [
        ("core/log.py", "from ..store import store", upward_imports),
        ("core/log.py", "from meerkat.node.node import Node", upward_imports),
        ("core/log.py", "from meerkat import node", upward_imports),
        ("store/store.py", "from meerkat.folder.disk import Disk", upward_imports),
        ("store/store.py", "if True:\n    from ..transport.base import Link", upward_imports),
        ("node/node.py", "import meerkat.control.server", upward_imports),
        ("node/node.py", "from meerkat.testing import memory", upward_imports),
        ("control/server.py", "from meerkat.cli.main import main", upward_imports),
        ("cli/share.py", "from meerkat.store.store import Store", upward_imports),
        ("swarm/swarm.py", "", upward_imports),
        ("node/node.py", "from meerkat.rows.database import Database", behind_closed_doors),
        ("control/cells.py", "from meerkat.rows import ledger", behind_closed_doors),
        ("core/tree.py", "import pycrdt", libraries_away_from_home),
        ("core/tree.py", "from cryptography.exceptions import X", libraries_away_from_home),
        ("node/node.py", "import grpc.aio", libraries_away_from_home),
        ("node/node.py", "import leftpad", libraries_away_from_home),
        ("core/log.py", "from time import monotonic", impurities),
        ("core/log.py", "import os.path", impurities),
        ("core/log.py", "import random\nx = random.random()", impurities),
        ("core/log.py", "from random import choice", impurities),
        ("core/log.py", "import random\nx = random.Random()", impurities),
        ("core/log.py", "open('x')", impurities),
        ("core/log.py", "async def f(): ...", impurities),
        ("core/log.py", "x = 1\n" * (MAX_CODE_LINES + 1), too_long),
        ("node/text_utils.py", "", empty_name),
        ("core/log.py", "x = 1", missing_docstring),
        ("core/log.py", "x = 1  # TO" + "DO later", unfinished),
        ("node/node.py", "asyncio.create_task(f())", loose_tasks),
        ("node/node.py", "asyncio.get_running_loop().create_task(f())", loose_tasks),
        ("node/node.py", "try: pass\nexcept BaseException: undo()", catching_everything),
        ("node/node.py", "try: pass\nexcept (A, BaseException): undo()", catching_everything),
        ("node/node.py", "try: pass\nexcept: undo()", catching_everything),
        ("node/node.py", "with suppress(BaseException): pass", catching_everything),
        ("test_x.py", "import time\ntime.sleep(1)", sleeps),
        ("test_x.py", "from time import sleep\nsleep(1)", sleeps),
        ("test_x.py", "await_(asyncio.sleep(0.1))", sleeps),
    ],
)
def test_check_finds_the_offender(name: str, text: str, check: Check) -> None:
    assert _findings(name, text, check)


@pytest.mark.parametrize(
    ("name", "text", "check"),
    [
        ("core/log.py", "from .ids import PeerId\nfrom meerkat.errors import E", upward_imports),
        ("cli/main.py", "from meerkat.control.client import Client", upward_imports),
        ("testing/memory.py", "from meerkat.folder.disk import Disk", upward_imports),
        ("node/node.py", "from meerkat.rows import wire", behind_closed_doors),
        ("rows/lane.py", "from .database import Database", behind_closed_doors),
        ("core/text.py", "import pycrdt", libraries_away_from_home),
        ("core/signing.py", "import cryptography.exceptions", libraries_away_from_home),
        ("core/overlay.py", "import random\ndef f(chance: random.Random): ...", impurities),
        ("core/overlay.py", "from random import Random\ndef f(chance: Random): ...", impurities),
        ("node/node.py", "import time, asyncio\nasync def f(): ...", impurities),
        ("core/log.py", '"""Say."""\n' + "# x\n\n" * MAX_CODE_LINES, too_long),
        ("node/__init__.py", "", missing_docstring),
        ("node/node.py", "self._group.create_task(f())", loose_tasks),
        ("node/node.py", "try: pass\nexcept BaseException: undo(); raise", catching_everything),
        ("test_x.py", "asyncio.sleep(0)", sleeps),
    ],
)
def test_check_leaves_the_innocent_alone(name: str, text: str, check: Check) -> None:
    assert _findings(name, text, check) == []


def test_finding_names_file_line_and_rule() -> None:
    found = _findings("store/store.py", "x = 1\nimport meerkat.folder", upward_imports)

    assert found == ["store/store.py:2: store must not import meerkat.folder: imports point down"]
