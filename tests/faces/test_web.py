"""`meerkat web`: the address it prints, the process it starts, the browser it opens."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.faces.conftest import ENDS_WITHIN, MakePeer, Meerkat


def read(url: str, path: str) -> int:
    """The status of a request with the token of ``url``; 0: nobody is there."""
    base, _, token = url.strip().partition("#token=")
    request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=ENDS_WITHIN) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError:
        return 0


def test_the_page_of_a_running_folder(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    alice.start("share")
    (alice.folder / "a.txt").write_text("hello")
    told = meerkat("web", alice.folder, "--no-open")
    assert (told.returncode, told.stderr) == (0, "")
    url = told.stdout
    assert url.startswith("http://127.0.0.1:")
    assert read(url, "raw/a.txt") == 200
    assert read(url[:-2] + "x\n", "raw/a.txt") == 401
    facts: dict[str, Any] = json.loads(meerkat("web", alice.folder, "--json").stdout)
    assert facts["event"] == "web"
    assert facts["url"] == url.strip()
    assert "open" not in facts  # for this machine's browser only

    alice.kill()
    assert read(url, "raw/a.txt") == 0
    alice.start("up")
    assert read(url, "raw/a.txt") == 200  # an open page finds it again

    refused = meerkat("web", alice.folder, "--allow-origin", "*")
    assert refused.returncode == 1
    assert "no origin" in refused.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert meerkat("web", alice.folder, "--port", port).returncode == 6
    assert meerkat("web", alice.folder, "--stop").stdout == "The page is not served any more.\n"
    assert read(url, "raw/a.txt") == 0
    alice.stop()
    alice.start("up")
    assert read(url, "raw/a.txt") == 0


def test_the_page_of_a_folder_that_does_not_run(peer: MakePeer, meerkat: Meerkat):
    alice = peer("alice")
    not_shared = meerkat("web", alice.folder)
    assert not_shared.returncode == 3
    assert "meerkat share" in not_shared.stderr
    alice.start("share")
    alice.stop()
    (alice.folder / "a.txt").write_text("hello")
    started = meerkat("web", alice.folder, "--detach", "--json")
    try:
        assert started.returncode == 0, started.stderr
        detached, web = map(json.loads, started.stdout.splitlines())
        assert (detached["event"], web["event"]) == ("detached", "web")
        assert read(web["url"], "raw/a.txt") == 200
    finally:
        assert meerkat("stop", alice.folder).returncode == 0
    stopped = meerkat("web", alice.folder, "--stop", "--json")
    assert json.loads(stopped.stdout) == {"event": "web_stopped"}
    assert not (alice.folder / ".meerkat" / "web").exists()


def test_it_serves_the_folder_itself_until_ctrl_c(peer: MakePeer):
    alice = peer("alice")
    alice.start("share")
    alice.stop()
    (alice.folder / "a.txt").write_text("hello")
    process = subprocess.Popen(
        [sys.executable, "-m", "meerkat", "web", "--json", str(alice.folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        web = json.loads(process.stdout.readline())
        assert web["event"] == "web"
        assert json.loads(process.stdout.readline())["event"] == "ready"
        assert read(web["url"], "raw/a.txt") == 200
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert json.loads(rest.splitlines()[-1])["event"] == "stopped"
        assert process.wait(ENDS_WITHIN) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("variable", ["BROWSER", ""])
def test_a_browser_is_opened_where_there_is_one(
    peer: MakePeer, meerkat: Meerkat, tmp_path: Path, monkeypatch, variable
):
    alice = peer("alice")
    alice.start("share")
    opened, script = tmp_path / "opened", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    script.chmod(0o755)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, f"{script} %s")
    url = meerkat("web", alice.folder).stdout
    assert url.startswith("http://")
    meerkat("web", alice.folder, "--no-open")
    meerkat("web", alice.folder, "--json")
    if not variable:
        assert sys.platform == "linux"
        assert not os.path.exists(opened)
        return
    (address,) = opened.read_text().split()
    assert url.strip().partition("#token=")[2] not in address  # others see programs' arguments
    base = url.partition("#")[0]
    assert read(base, address.removeprefix(base)) == 200
    assert read(base, address.removeprefix(base)) == 404  # works once
