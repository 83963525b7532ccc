"""What faces are told of databases while the rows process comes and goes."""

from __future__ import annotations

from meerkat.core.rows import AttachDatabase, DatabaseAttached, DatabaseState
from meerkat.node.rows_picture import NOT_READY, RowsPicture

VERSION = bytes(16)


def test_a_new_process_begins_without_the_complaints_of_the_one_before():
    picture = RowsPicture()
    picture.sent(AttachDatabase(VERSION, "x.db"))
    picture.reported(DatabaseState(VERSION, "It is not there.", 2))
    assert picture.databases() == [("x.db", "It is not there.", 2)]

    picture.forget()
    assert picture.databases() == [("x.db", NOT_READY, 2)]

    picture.sent(AttachDatabase(VERSION, "x.db"))
    picture.reported(DatabaseAttached(VERSION, "x.db"))
    assert picture.databases() == [("x.db", "", 2)]


def test_what_stood_at_a_path_is_forgotten_once_another_stands_there():
    picture = RowsPicture()
    picture.sent(AttachDatabase(VERSION, "x.db"))
    picture.forget()  # and the file is removed before there is a new process

    picture.sent(AttachDatabase(bytes([1]) * 16, "x.db"))

    assert picture.databases() == [("x.db", NOT_READY, 0)]
