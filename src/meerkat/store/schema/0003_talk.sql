-- What people said (meerkat.core.talk_table): lines, the newest first, and what became of letters.
-- Lines for everyone can be made anew from the log; what came or went as a letter between two
-- people is here alone.

CREATE TABLE kv_talk (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;
