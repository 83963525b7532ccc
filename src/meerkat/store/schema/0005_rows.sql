-- Live databases (meerkat.core.databases): which operations changed each, in the order in which
-- they are replayed, and what we know of the rows process's state.

CREATE TABLE kv_rows_log (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_rows (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;
