"""One large file to a newcomer, beside the transport's own bulk speed and rsync.

``python -m bench.large_file [--mib 1024]``: random bytes; then one is changed and one inserted.
The floor is two processes with the same gRPC links and TLS that only pass frames of 256 KiB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from bench._pair import SOURCE, Member, scratch, wait_for
from bench.many_files import rsync

MIB = 1024 * 1024


def write_random(path: Path, mib: int) -> None:
    """``mib`` MiB of random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def same(one: Path, other: Path) -> bool:
    """Compare two files block by block."""
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            a, b = left.read(MIB), right.read(MIB)
            if a != b:
                return False
            if not a:
                return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    mib = parser.parse_args().mib
    with scratch() as base:
        source, target = base / "a/large.bin", base / "b/large.bin"
        write_random(source, mib)
        floor = subprocess.run(
            [sys.executable, "-m", "bench.transport_floor", "--rounds", "1"],
            env=dict(os.environ, PYTHONPATH=f"{SOURCE}{os.pathsep}{SOURCE.parent}"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        theirs = rsync(base / "a", base)
        started = time.perf_counter()
        alice = Member("share", str(base / "a"), folder=base / "a")
        alice.wait("synced")
        print(f"hashed and signed  {time.perf_counter() - started:6.2f} s")
        bob = Member("join", alice.ready["invitation"], str(base / "b"), folder=base / "b")
        started = time.perf_counter()
        done = wait_for(lambda: target.exists() and target.stat().st_size == mib * MIB, pause=0.005)
        took = done - started
        bob.wait("synced")
        print(f"{mib} MiB there     {took:6.2f} s = {mib / took:.0f} MiB/s")
        print(f"the same bytes     {same(source, target)}")
        if theirs is not None:
            print(f"rsync              {theirs:6.2f} s   ratio {took / theirs:.1f}")
        print("transport floor in this run:")
        print("\n".join(line for line in floor.splitlines() if "bulk" in line or "floor" in line))
        for name, offset, cut in (
            ("one byte changed", mib * MIB // 2, 1),
            ("one inserted", 999, 0),
        ):
            data = source.read_bytes()
            changed = data[:offset] + b"!" + data[offset + cut :]
            started = time.perf_counter()
            source.write_bytes(changed)
            wrote = time.perf_counter() - started
            size = len(changed)
            del data, changed
            wait_for(
                lambda size=size: target.stat().st_size == size and same(source, target), pause=0.2
            )
            bob.wait("synced")
            print(f"{name}: {time.perf_counter() - started:.2f} s (of which saving {wrote:.2f} s)")
        started = time.perf_counter()
        source.rename(base / "a/renamed.bin")
        done = wait_for((base / "b/renamed.bin").exists)
        print(f"rename: {(done - started) * 1e3:.0f} ms")
        print(f"peak memory {alice.memory_mib():.0f} and {bob.memory_mib():.0f} MiB")
        bob.stop()
        alice.stop()


if __name__ == "__main__":
    main()
