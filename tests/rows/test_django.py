"""A real Django project's migrations run on one member while another writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rows.pool import Member, Pool

MakePool = Callable[..., Pool]
PROJECT = Path(__file__).parent / "django_project"
WITHIN = 120.0  # s; one command takes about one
INSERT = "INSERT INTO shop_item(name, old_code, price) VALUES ('{}', 'x', {})"


def manage(member: Member, *arguments: str) -> str:
    """Run a command of the project on a member's copy."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env={**os.environ, "SHOP_DATABASE": str(member.path), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_one_migrates_while_another_writes(make_pool: MakePool, journal: str) -> None:
    pool = make_pool("CREATE TABLE unrelated(x)", journal=journal)
    alice, bob = pool.members
    manage(alice, "migrate", "shop", "0001")
    pool.sync()
    bob.run(INSERT.format("first by bob", 5))
    pool.sync()
    bob.offline = True
    manage(alice, "migrate")
    alice.look()
    bob.run(INSERT.format("by bob in the old schema", 7))  # apart: he knows nothing of makers
    bob.run("UPDATE shop_item SET price = 6, name = 'first by bob, edited' WHERE id = 1")
    bob.offline = False
    pool.assert_equal()
    assert bob.rows("SELECT id, title, price, in_stock FROM shop_item ORDER BY id") == [
        (1, "first by bob, edited", 6, 1),
        (2, "by bob in the old schema", 7, 0),  # Django keeps its defaults to itself
    ]
    for member in pool.members:  # Django itself finds what its models say
        assert "No changes detected" in manage(member, "makemigrations", "--check")
        assert "[ ]" not in manage(member, "showmigrations")
        script = (
            "from shop.models import Item, Maker;"
            f"m, _ = Maker.objects.get_or_create(name='by {member.name}');"
            f"Item.objects.create(title='by {member.name}', price='1.50', maker=m)"
        )
        manage(member, "shell", "-c", script)
        member.look()
    found = pool.assert_equal()
    assert found["integrity"] == ["ok"]
    titles = alice.rows(
        "SELECT item.title, maker.name FROM shop_item AS item JOIN shop_maker AS maker"
        " ON item.maker_id = maker.id WHERE item.title IN ('by alice', 'by bob') ORDER BY 1"
    )
    assert titles == [("by alice", "by alice"), ("by bob", "by bob")]


def test_both_migrate_apart(make_pool: MakePool) -> None:
    """The same migrations, run by two who have not met since: one schema, each row once."""
    pool = make_pool("CREATE TABLE unrelated(x)")
    alice, bob = pool.members
    manage(alice, "migrate", "shop", "0001")
    alice.run(INSERT.format("known to both", 1))
    pool.sync()
    for member in pool.members:
        member.offline = True
        manage(member, "migrate", "shop")
        member.look()
    for member in pool.members:
        member.offline = False
    pool.assert_equal()
    assert bob.rows("SELECT title FROM shop_item") == [("known to both",)]
    for member in pool.members:
        assert "No changes detected" in manage(member, "makemigrations", "--check")
