"""What every test may count on: Hypothesis profiles, marks that skip with a reason, seeds."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# `ci` is `make test`: the same examples every time, so a red run can be repeated anywhere.
# `dev`, for a plain `pytest`, looks for new ones and remembers what it found in .hypothesis/.
# `long` is `make sim`. No deadlines: a busy machine is not a bug, and the benches watch the time.
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=_QUIET,
)
settings.register_profile("dev", deadline=None, print_blob=True, suppress_health_check=_QUIET)
settings.register_profile(
    "long",
    deadline=None,
    max_examples=20_000,
    print_blob=True,
    suppress_health_check=_QUIET,
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# Processes that tests start neither announce themselves on somebody's network nor find strangers
# there, unless they are told to.
os.environ.setdefault("MEERKAT_DISCOVER", "0")

# Some machines forbid Python to keep compiled code. The tests start hundreds of processes, and each
# would compile all of meerkat first: half of the time until it is ready.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))  # mkfs and losetup live there


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seeds",
        type=int,
        default=12,
        help="how many seeds each test that takes `simulation_seed` is run with",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``simulation_seed`` once for each seed, so that each can fail alone."""
    if "simulation_seed" in metafunc.fixturenames:
        metafunc.parametrize("simulation_seed", range(metafunc.config.getoption("--seeds")))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if any(item.iter_markers("needs_root")) or any(item.iter_markers("powercut")):
        geteuid = getattr(os, "geteuid", None)
        if geteuid is None or geteuid() != 0:
            pytest.skip("needs root: run the suite as root to include it")
    for name in _tools_needed(item):
        if find_tool(name) is None:
            pytest.skip(f"needs {name}: install it with the system's packages to include it")


def find_tool(name: str) -> str | None:
    """Where a program is, also among those that only root has in the path."""
    return shutil.which(name) or shutil.which(name, path=_SBIN)


def _tools_needed(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("needs_tool"):
        yield from mark.args
