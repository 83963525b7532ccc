"""What SQL of people may do to a live database: nothing beyond its file, nothing to the process.

Authorizers of SQLite: asked while a statement is prepared, they allow or refuse each thing it does.
What is allowed is listed, so that what a later SQLite can do is refused until somebody looks at it.
"""

from __future__ import annotations

import apsw

__all__ = ["reading_only", "writing_too"]

_READING = frozenset(
    {
        apsw.SQLITE_SELECT,
        apsw.SQLITE_READ,
        apsw.SQLITE_RECURSIVE,
    }
)
# VACUUM and ATTACH are not here (they reach other files), nor transactions (there is one already).
_WRITING = _READING | {
    apsw.SQLITE_INSERT,
    apsw.SQLITE_UPDATE,
    apsw.SQLITE_DELETE,
    apsw.SQLITE_CREATE_INDEX,
    apsw.SQLITE_CREATE_TABLE,
    apsw.SQLITE_CREATE_TRIGGER,
    apsw.SQLITE_CREATE_VIEW,
    apsw.SQLITE_CREATE_VTABLE,
    apsw.SQLITE_DROP_INDEX,
    apsw.SQLITE_DROP_TABLE,
    apsw.SQLITE_DROP_TRIGGER,
    apsw.SQLITE_DROP_VIEW,
    apsw.SQLITE_DROP_VTABLE,
    apsw.SQLITE_CREATE_TEMP_INDEX,
    apsw.SQLITE_CREATE_TEMP_TABLE,
    apsw.SQLITE_CREATE_TEMP_VIEW,
    apsw.SQLITE_DROP_TEMP_INDEX,
    apsw.SQLITE_DROP_TEMP_TABLE,
    apsw.SQLITE_DROP_TEMP_VIEW,
    apsw.SQLITE_ALTER_TABLE,
    apsw.SQLITE_ANALYZE,
    apsw.SQLITE_REINDEX,
    apsw.SQLITE_SAVEPOINT,
}
_CREATING = frozenset({apsw.SQLITE_CREATE_TABLE, apsw.SQLITE_CREATE_VTABLE})
# Functions that reach outside the database.
_FUNCTIONS = frozenset({"edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"})
# Pragmas that only tell; some take a name as their argument. Others are of the whole process.
_ASKING = frozenset(
    {
        "collation_list",
        "compile_options",
        "foreign_key_check",
        "foreign_key_list",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "module_list",
        "pragma_list",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
# Pragmas that tell when they are given nothing.
_TELLING = frozenset(
    {
        "application_id",
        "auto_vacuum",
        "data_version",
        "encoding",
        "foreign_keys",
        "freelist_count",
        "journal_mode",
        "page_count",
        "page_size",
        "schema_version",
        "user_version",
    }
)
_SETTING = frozenset({"application_id", "defer_foreign_keys", "user_version"})


def reading_only(
    action: int, one: str | None, two: str | None, _schema: str | None, _inside: str | None
) -> int:
    """Allows to read."""
    if action == apsw.SQLITE_PRAGMA:
        return _answer(_tells(one, two))
    if action == apsw.SQLITE_FUNCTION:
        return _answer(two is not None and two.lower() not in _FUNCTIONS)
    return _answer(action in _READING)


def writing_too(
    action: int, one: str | None, two: str | None, schema: str | None, inside: str | None
) -> int:
    """Allows to change rows and schema, too, in the transaction that is open."""
    if action == apsw.SQLITE_PRAGMA:
        return _answer(_tells(one, two) or (one or "").lower() in _SETTING)
    if action in _CREATING and (one or "").lower().startswith("meerkat_"):
        return apsw.SQLITE_DENY  # such a database could not be live any more
    if action in _WRITING:
        return apsw.SQLITE_OK
    return reading_only(action, one, two, schema, inside)


def _tells(pragma: str | None, argument: str | None) -> bool:
    name = (pragma or "").lower()
    return name in _ASKING or (argument is None and name in _TELLING)


def _answer(allowed: bool) -> int:
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY
