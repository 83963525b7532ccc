"""The folder's ``.meerkat/``: permissions, secrets, nesting, copies, unclean ends."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from meerkat.errors import FolderError, FolderInUse, NotAPool, StoreError
from meerkat.store import (
    FolderConfig,
    Keys,
    SqliteStore,
    StateFolder,
    find_pool_above,
    find_pool_below,
)
from meerkat.store.installation import LastRun, mark_of

KEYS = Keys(member=b"m" * 32, tls=b"\0certificate and key")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = tmp_path / "shared"
    folder.mkdir()
    state = StateFolder(folder)
    state.create()
    state.write_keys(KEYS)
    return state


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------- making and finding


def test_what_is_made_is_ours_alone(state: StateFolder):
    assert [mode_of(path) for path in (state.path, state.incoming, state.replaced)] == [0o700] * 3
    state.path.chmod(0o755)

    state.create()

    assert mode_of(state.path) == 0o700


def test_a_folder_is_a_pool_once_it_has_keys(tmp_path: Path):
    state = StateFolder(tmp_path)
    state.create()
    assert not state.is_pool()
    with pytest.raises(NotAPool, match="meerkat share"):
        state.require()

    state.write_keys(KEYS)

    state.require()
    assert state.is_pool()


def test_asking_about_a_folder_makes_nothing(tmp_path: Path):
    state = StateFolder(tmp_path)

    assert not state.is_pool()
    assert state.running_pid() is None
    assert not state.unclean_stop()
    assert state.read_config() == FolderConfig()
    assert state.installation_mark() is None
    with pytest.raises(NotAPool):
        state.require()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="is not a folder"):
        StateFolder(tmp_path / "file").create()
    with pytest.raises(FolderError, match="Check that the folder is there"):
        StateFolder(tmp_path / "missing").create()


def test_a_symlink_in_our_place_is_refused(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / ".meerkat").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FolderError, match="is not a folder"):
        StateFolder(tmp_path / "shared").create()

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_pools_do_not_nest(state: StateFolder, tmp_path: Path):
    inner = state.folder / "a" / "b"
    inner.mkdir(parents=True)

    with pytest.raises(FolderInUse, match="lies inside"):
        StateFolder(inner).create()
    with pytest.raises(FolderInUse, match="inside"):
        StateFolder(tmp_path).create()

    assert find_pool_above(inner) == state.folder.resolve()
    assert find_pool_above(state.folder) is None
    assert find_pool_below(tmp_path) == state.folder
    assert find_pool_below(state.folder) is None
    state.create()  # its own is no other


def test_the_search_below_is_bounded_and_follows_no_symlinks(state: StateFolder, tmp_path: Path):
    other = tmp_path / "other"
    (other / "deep" / "er").mkdir(parents=True)
    (other / "link").symlink_to(state.folder)
    assert find_pool_below(other) is None
    shutil.copytree(state.path, other / "deep" / "er" / ".meerkat")

    assert find_pool_below(other) == other / "deep" / "er"
    assert find_pool_below(other, depth=1) is None
    assert find_pool_below(other, folder_count=1) is None


def test_a_symlink_does_not_hide_the_pool_above(state: StateFolder, tmp_path: Path):
    (state.folder / "inner").mkdir()
    (tmp_path / "link").symlink_to(state.folder / "inner")

    with pytest.raises(FolderInUse):
        StateFolder(tmp_path / "link").create()


# ---------------------------------------- keys and settings


def test_keys_come_back_and_are_secret(state: StateFolder):
    path = state.path / "keys"

    assert state.read_keys() == KEYS
    assert mode_of(path) == 0o600
    assert "m" * 8 not in repr(KEYS)
    path.chmod(0o644)
    assert state.read_keys() == KEYS
    assert mode_of(path) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "[" * 9999,
        '{"version": 1}',
        '{"version": 1, "member": 5, "tls": ""}',
        '{"version": 1, "member": "c2VjcmV0", "tls": "c2VjcmV0"}',
    ],
)
def test_damaged_keys_say_so_and_nothing_secret(state: StateFolder, content: str):
    (state.path / "keys").write_text(content)

    with pytest.raises(StoreError, match="backup") as caught:
        state.read_keys()

    assert "secret" not in str(caught.value)
    assert "c2Vj" not in str(caught.value)


def test_missing_keys_and_newer_keys_say_so(state: StateFolder):
    (state.path / "keys").write_text('{"version": 2}')
    with pytest.raises(StoreError, match="newer meerkat"):
        state.read_keys()
    (state.path / "keys").unlink()
    with pytest.raises(StoreError, match="missing"):
        state.read_keys()


def test_a_leftover_of_a_crash_is_in_nobodys_way(state: StateFolder):
    leftover = state.path / "keys.new"
    leftover.write_text("half of a key")
    leftover.chmod(0o644)
    other = Keys(member=b"x" * 32, tls=b"")

    state.write_keys(other)

    assert state.read_keys() == other
    assert mode_of(state.path / "keys") == 0o600
    assert not leftover.exists()


def test_settings_are_read_and_unknown_ones_reported(state: StateFolder):
    (state.path / "config.toml").write_text(
        'name = "Änne"\nport = 7000\nignore = ["*.o"]\nprot = 1\n[more]\na = 1\n'
    )

    config = state.read_config()

    assert config == FolderConfig(name="Änne", port=7000, ignore=("*.o",), unknown=("more", "prot"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("port = ", "not valid TOML"),
        ("port = 70000", "port must be a number from 0 to 65535, not 70000"),
        ("port = true", "port must be"),
        ('name = "a\\nb"', "name must be"),
        ('ignore = "*.o"', "ignore must be a list"),
        ("ignore = [1]", "ignore must be a list"),
        ("listen = 1", "listen must be"),
    ],
)
def test_a_wrong_setting_says_which_and_what_it_must_be(
    state: StateFolder, content: str, complaint: str
):
    (state.path / "config.toml").write_text(content)

    with pytest.raises(FolderError, match=complaint):
        state.read_config()


# ---------------------------------------- D6: copies, and unclean ends


def test_a_copied_or_restored_store_is_noticed(state: StateFolder, tmp_path: Path):
    assert state.is_original()  # nothing there yet
    with pytest.raises(RuntimeError):
        state.mark_original()
    SqliteStore(state.store).close()
    assert not state.is_original()
    state.mark_original()
    assert state.is_original()

    shutil.copytree(state.folder, tmp_path / "copy")
    assert not StateFolder(tmp_path / "copy").is_original()
    state.folder.rename(tmp_path / "moved")
    moved = StateFolder(tmp_path / "moved")
    assert moved.is_original()  # the same file under another name

    shutil.copy(moved.store, tmp_path / "backup.db")
    shutil.copy(tmp_path / "backup.db", moved.path / "restored.db")
    (moved.path / "restored.db").replace(moved.store)
    assert not moved.is_original()
    moved.mark_original()
    assert moved.is_original()
    moved.store.write_bytes(b"")
    assert not moved.is_original()
    moved.store.unlink()
    assert not moved.is_original()


def test_another_machine_is_noticed(state: StateFolder, monkeypatch: pytest.MonkeyPatch):
    SqliteStore(state.store).close()
    state.mark_original()

    monkeypatch.setattr("meerkat.store.installation._MACHINE_ID_FILES", ())

    assert not state.is_original()
    fallback = mark_of(state.store)
    assert fallback == mark_of(state.store)
    assert fallback is not None
    assert len(fallback.machine) == 32


def test_an_unclean_end_is_remembered_until_the_next_run(state: StateFolder, tmp_path: Path):
    assert not state.unclean_stop()
    state.mark_started()
    assert not state.unclean_stop()  # asks about the run before this one

    after_crash = StateFolder(state.folder)
    after_crash.mark_started()
    assert after_crash.unclean_stop()
    assert not after_crash.rebooted_since()
    after_crash.mark_stopped()

    after_stop = StateFolder(state.folder)
    assert not after_stop.unclean_stop()


@pytest.mark.parametrize("boot", ["another", None])
def test_a_new_start_of_the_machine_is_noticed(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch, boot: str | None
):
    state.mark_started()
    monkeypatch.setattr("meerkat.store.installation.boot_id", lambda: boot)

    assert StateFolder(state.folder).rebooted_since()


def test_a_damaged_last_run_counts_as_unclean(state: StateFolder):
    state.mark_started()
    (state.path / "last_run").write_text("")

    last_run = LastRun(state.path / "last_run")

    assert last_run.unclean_stop()
    assert last_run.rebooted_since()
