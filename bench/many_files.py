"""Initial sync of many small files into an empty folder, beside rsync from a local daemon.

``python -m bench.many_files [--count 10000] [--size 4096] [--binary]``
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from bench._pair import Member, scratch, wait_for


def make(folder: Path, count: int, size: int, *, binary: bool) -> None:
    """``count`` files in folders of a hundred."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(500)]
    for number in range(count):
        parent = folder / f"d{number // 100:04}"
        parent.mkdir(parents=True, exist_ok=True)
        if binary:
            data = rng.randbytes(size)
        else:
            text = " ".join(rng.choices(words, k=size // 8 + 1))
            data = text.encode()[:size]
        (parent / f"f{number:06}.dat").write_bytes(data)


def rsync(source: Path, base: Path) -> float | None:
    """Seconds for ``rsync -a`` from a daemon on loopback to an empty folder."""
    if shutil.which("rsync") is None:
        return None
    conf = base / "rsyncd.conf"
    conf.write_text(f"use chroot = no\nuid = 0\ngid = 0\n[m]\npath = {source}\nread only = yes\n")
    daemon = subprocess.Popen(
        [
            "rsync",
            "--daemon",
            "--no-detach",
            "--port",
            "18873",
            "--address",
            "127.0.0.1",
            "--config",
            str(conf),
        ]
    )
    try:
        end = time.perf_counter() + 10
        while subprocess.run(
            ["rsync", "rsync://127.0.0.1:18873/"], capture_output=True, check=False
        ).returncode:
            if time.perf_counter() > end:
                return None
        started = time.perf_counter()
        subprocess.run(
            [
                "rsync",
                "-a",
                "--exclude",
                ".meerkat",
                "rsync://127.0.0.1:18873/m/",
                str(base / "rsynced"),
            ],
            check=True,
        )
        return time.perf_counter() - started
    finally:
        daemon.terminate()
        daemon.wait()


def count_files(folder: Path) -> int:
    """Files below a folder, ours left out."""
    total = 0
    for root, folders, files in os.walk(folder):
        if ".meerkat" in folders:
            folders.remove(".meerkat")
        total += sum(1 for name in files if not name.startswith(".meerkat-"))
        del root
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--binary", action="store_true")
    asked = parser.parse_args()
    with scratch() as base:
        make(base / "a", asked.count, asked.size, binary=asked.binary)
        theirs = rsync(base / "a", base)
        (base / "a").mkdir(exist_ok=True)
        started = time.perf_counter()
        alice = Member("share", str(base / "a"), folder=base / "a")
        alice.wait("synced")
        scanned = time.perf_counter() - started
        started = time.perf_counter()
        bob = Member("join", alice.ready["invitation"], str(base / "b"), folder=base / "b")
        wait_for(lambda: count_files(base / "b") >= asked.count, pause=0.05)
        complete = time.perf_counter() - started
        bob.wait("synced")
        took = time.perf_counter() - started
        print(f"{asked.count} files of {asked.size} B, {'binary' if asked.binary else 'text'}")
        print(f"share: first scan signed      {scanned:7.2f} s (process start included)")
        print(f"join: all files there         {complete:7.2f} s, synced {took:7.2f} s")
        if theirs is not None:
            print(f"rsync                         {theirs:7.2f} s   ratio {complete / theirs:.1f}")
        print(
            f"peak memory                   {alice.memory_mib():.0f} and {bob.memory_mib():.0f} MiB"
        )
        bob.stop()
        alice.stop()
        started = time.perf_counter()
        alice = Member("up", str(base / "a"), folder=base / "a")
        alice.wait("synced")
        print(f"start with nothing changed    {time.perf_counter() - started:7.2f} s")
        before = alice.cpu_seconds()
        time.sleep(30)
        print(
            f"idle                          {(alice.cpu_seconds() - before) / 30 * 100:.2f} % CPU"
        )
        print(f"memory at rest                {alice.memory_mib('VmRSS'):.0f} MiB")
        alice.stop()


if __name__ == "__main__":
    main()
