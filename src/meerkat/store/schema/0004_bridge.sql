-- Texts as our own Yjs editors have them (meerkat.core.bridge): a snapshot, and updates since.
-- Here alone: the ids that those editors gave to what they wrote.

CREATE TABLE kv_bridge (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;
