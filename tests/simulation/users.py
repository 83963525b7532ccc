"""People at their folders: random deeds, and what each of them had seen when doing them.

The oracle is the model of "Mysteries of Dropbox" (Hughes et al.): what was written may be gone only
if somebody removed it who had it before their eyes. A deed is compared before and after on the
doer's own folder; what became fewer there, that person saw and removed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

from meerkat.core.edits import Edit
from meerkat.core.events import TextEdited
from meerkat.core.files import Kind
from meerkat.core.ids import FileId, VersionId
from meerkat.testing.simulator import SimulatedPeer, Simulator
from tests.simulation.tokens import Marks, binary_of, marks_in, marks_in_folder, marks_of, text_of

T = TypeVar("T")

PLACES = ("a.txt", "b.txt", "c.bin", "d/a.txt", "d/e.txt", "d/g/h.txt", "x", "x/y.txt", "z/b.txt")
FOLDERS = ("d", "d/g", "x", "z", "new", "new/deep")
NOISE_BYTES = (0, 100, 40_000, 700_000)


class Users:
    """Whoever sits at the peers of a simulation."""

    def __init__(self, simulator: Simulator, rng: Random) -> None:
        self.simulator, self.rng = simulator, rng
        self.marks = Marks()
        self.written: set[str] = set()
        self.removed: set[str] = set()  # by somebody who saw it
        self.moved_over: set[str] = set()  # put into an existing file, perhaps by two people
        self.diary: list[str] = []
        self._typed: dict[str, tuple[int, str]] = {}  # mark -> peer, path it was typed into
        self._deeds: list[tuple[int, Callable[[SimulatedPeer], str]]] = [
            (6, self._write_text),
            (10, self._edit_text),
            (3, self._append),
            (2, self._write_binary),
            (1, self._empty),
            (4, self._move),
            (3, self._delete),
            (1, self._make_folder),
            (1, self._delete_folder),
            (2, self._move_folder),
            (2, self._chmod),
            (1, self._link),
            (5, self._type),
        ]

    # -- one deed --------------------------------------------------------------------------

    def act(self, one: SimulatedPeer) -> None:
        """A random deed at this peer's folder; the scanner looks a moment later."""
        weights = [weight for weight, _ in self._deeds]
        deed = self.rng.choices([deed for _, deed in self._deeds], weights)[0]
        words = self.watch(one, lambda: deed(one))
        if words:
            self.note(one, words)
        self.simulator.look(one, delay=self.rng.choice((0.002, 0.02, 0.2)))

    def watch(self, one: SimulatedPeer, deed: Callable[[], T]) -> T:
        """Note what a deed at this folder wrote, and what its doer saw and removed."""
        before = marks_in_folder(one.folder)
        result = deed()
        after = marks_in_folder(one.folder)
        self.written |= (after - before).keys()
        self.removed |= (before - after).keys()
        self._forget_typing(one)
        return result

    def _forget_typing(self, one: SimulatedPeer) -> None:
        """Whoever removes a file has seen what they themselves typed in it, on disk or not yet."""
        for mark, (index, path) in list(self._typed.items()):
            node = one.folder.nodes.get(path)
            if index == one.index and (node is None or node.kind is not Kind.FILE):
                self.removed.add(mark)
            if index == one.index and node is not None and node.data.startswith(b"\0"):
                self.removed.add(mark)

    def note(self, one: SimulatedPeer, words: str) -> None:
        state = "" if one.peer is not None else " (stopped)"
        self.diary.append(f"{self.simulator.now:8.3f} {one.name}{state}: {words}")

    def _files(self, one: SimulatedPeer, *, text: bool = False) -> list[str]:
        return [
            path
            for path, node in sorted(one.folder.nodes.items())
            if node.kind is Kind.FILE and not (text and node.data.startswith(b"\0"))
        ]

    def _place(self, one: SimulatedPeer) -> str:
        """An existing file, or a place where one can be."""
        files = self._files(one)
        if files and self.rng.random() < 0.5:
            return self.rng.choice(files)
        return self.rng.choice(PLACES)

    def _make_room(self, one: SimulatedPeer, path: str) -> None:
        """What a person does before saving where something else stands: remove it."""
        parts = path.split("/")
        for end in range(1, len(parts)):
            node = one.folder.nodes.get("/".join(parts[:end]))
            if node is not None and node.kind is not Kind.FOLDER:
                one.folder.delete("/".join(parts[:end]))
        node = one.folder.nodes.get(path)
        if node is not None and node.kind is not Kind.FILE:
            one.folder.delete(path)

    def _save(self, one: SimulatedPeer, path: str, data: bytes) -> None:
        self._make_room(one, path)
        node = one.folder.nodes.get(path)
        one.folder.write(path, data, executable=node.executable if node else False)

    # -- deeds on files --------------------------------------------------------------------

    def _write_text(self, one: SimulatedPeer) -> str:
        path = self._place(one)
        marks = [self.marks.fresh() for _ in range(self.rng.randint(1, 6))]
        self._save(one, path, text_of(marks, crlf=self.rng.random() < 0.1))
        return f"write {path} {''.join(marks)}"

    def _edit_text(self, one: SimulatedPeer) -> str:
        """Insert some lines, remove some others."""
        files = self._files(one, text=True)
        if not files:
            return ""
        path = self.rng.choice(files)
        data = one.folder.nodes[path].data
        lines, end = data.decode().splitlines(keepends=True), _end_of(data)
        gone = []
        for _ in range(self.rng.randint(0, 2)):
            if lines:
                gone.append(lines.pop(self.rng.randrange(len(lines))).strip())
        fresh = [self.marks.fresh() for _ in range(self.rng.randint(1, 3))]
        for mark in fresh:
            lines.insert(self.rng.randint(0, len(lines)), mark + end)
        self._save(one, path, "".join(lines).encode())
        return f"edit {path} +{''.join(fresh)} -{''.join(gone)}"

    def _append(self, one: SimulatedPeer) -> str:
        files = self._files(one, text=True)
        if not files:
            return ""
        path, mark = self.rng.choice(files), self.marks.fresh()
        data = one.folder.nodes[path].data
        self._save(one, path, data + (mark + _end_of(data)).encode())
        return f"append {path} {mark}"

    def _write_binary(self, one: SimulatedPeer) -> str:
        path, mark = self._place(one), self.marks.fresh()
        size = self.rng.choice(NOISE_BYTES)
        self._save(one, path, binary_of(mark, self.rng.randbytes(size)))
        return f"binary {path} {mark} {size}"

    def _empty(self, one: SimulatedPeer) -> str:
        path = self._place(one)
        self._save(one, path, b"")
        return f"empty {path}"

    def _move(self, one: SimulatedPeer) -> str:
        files = self._files(one)
        if not files:
            return ""
        old, new = self.rng.choice(files), self._place(one)
        if self.rng.random() < 0.3:
            new = f"new/{old.rpartition('/')[2]}"
        node = one.folder.nodes.get(new)
        if node is not None and node.kind is not Kind.FOLDER:
            self.moved_over |= marks_of(one.folder.nodes[old]).keys()
        if node is None or node.kind is not Kind.FOLDER:
            one.folder.move(old, new)
        return f"move {old} -> {new}"

    def _delete(self, one: SimulatedPeer) -> str:
        paths = [p for p, n in sorted(one.folder.nodes.items()) if n.kind is not Kind.FOLDER]
        if not paths:
            return ""
        path = self.rng.choice(paths)
        one.folder.delete(path)
        return f"delete {path}"

    def _chmod(self, one: SimulatedPeer) -> str:
        files = self._files(one)
        if not files:
            return ""
        path = self.rng.choice(files)
        node = one.folder.nodes[path]
        one.folder.write(path, node.data, executable=not node.executable)
        return f"chmod {path} {not node.executable}"

    def _link(self, one: SimulatedPeer) -> str:
        path, mark = self.rng.choice(PLACES), self.marks.fresh()
        self._make_room(one, path)
        parent = path.rpartition("/")[0]
        if parent:
            one.folder.make_folder(parent)
        one.folder.link(path, "to-" + mark)
        return f"link {path} {mark}"

    # -- deeds on folders ------------------------------------------------------------------

    def _make_folder(self, one: SimulatedPeer) -> str:
        path = self.rng.choice(FOLDERS)
        self._make_room(one, path + "/x")
        one.folder.make_folder(path)
        return f"mkdir {path}"

    def _folders(self, one: SimulatedPeer) -> list[str]:
        return [p for p, n in sorted(one.folder.nodes.items()) if n.kind is Kind.FOLDER]

    def _delete_folder(self, one: SimulatedPeer) -> str:
        folders = self._folders(one)
        if not folders:
            return ""
        path = self.rng.choice(folders)
        one.folder.delete(path)
        return f"rm -r {path}"

    def _move_folder(self, one: SimulatedPeer) -> str:
        folders = self._folders(one)
        if not folders:
            return ""
        old, new = self.rng.choice(folders), self.rng.choice(("moved", "new", "d/in", "z"))
        if new not in one.folder.nodes:
            one.folder.move(old, new)
        return f"mv {old}/ -> {new}/"

    # -- live typing -----------------------------------------------------------------------

    def _type(self, one: SimulatedPeer) -> str:
        """Keys in one of our own editors: they meet the replica, not the disk."""
        texts = live_texts(one)
        paths = sorted(texts.keys() & one.folder.nodes.keys())
        if not paths:
            return ""
        path = self.rng.choice(paths)
        file, version, text = texts[path]
        lines = text.splitlines(keepends=True)
        at = self.rng.randint(0, len(lines))
        position = sum(map(len, lines[:at]))
        gone, fresh = "", self.marks.fresh()
        if at < len(lines) and self.rng.random() < 0.3:
            gone = lines[at]
        edit = Edit(position, len(gone), fresh + "\n")
        self.written.add(fresh)
        self._typed[fresh] = one.index, path
        self.removed |= marks_in(gone).keys()
        self.simulator.handle(one, TextEdited(FileId(file), VersionId(version), (edit,)))
        return f"type {path} +{fresh} -{gone.strip()}"


def _end_of(data: bytes) -> str:
    """How a program ends the lines it adds: as the others end. Mixed ends are kept as they are, so
    that the first one changes every line, and two who do that at once write each line twice.
    """
    return "\r\n" if b"\r\n" in data else "\n"


def live_texts(one: SimulatedPeer) -> dict[str, tuple[bytes, bytes, str]]:
    """The live texts that a peer's editors could open now: path -> (file, version, text)."""
    if one.peer is None:
        return {}
    replica = one.peer._replica  # no public way to read texts by path yet
    found = {}
    for path, shown in replica.view.files.items():
        _, version = replica.tree.find(shown.file, shown.version)
        if version is not None and version.kind == "text":
            text = replica.texts.load(version).text
            found[path] = (shown.file, shown.version, text)
    return found
