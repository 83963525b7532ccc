-- The log: every operation this installation holds, one row each, exactly as it was signed.
--
-- An author is a 32-byte key. Rows name it by a small number, given in order of first meeting, so
-- that a row's key is a few bytes and an author's operations lie side by side on the disk: both
-- catch-up ("send me 100..900 of alice") and the next append touch one place.
--
-- Every row carries a CRC-32 over all its other columns, so a bit that the disk turned is noticed
-- where it is read and never handed on (invariant D5). SQLite itself guards only its structure.

CREATE TABLE authors (
    number INTEGER PRIMARY KEY,
    key    BLOB    NOT NULL UNIQUE,
    crc    INTEGER NOT NULL
);

-- sequence counts 1, 2, 3, ... without gaps within an author. hash and lamport are those of the
-- operation; they are kept apart from data so that heads can be read without decoding anything.
CREATE TABLE operations (
    author   INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    lamport  INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    crc      INTEGER NOT NULL,
    data     BLOB    NOT NULL,
    PRIMARY KEY (author, sequence)
) WITHOUT ROWID;
