-- The key-value tables of meerkat.core.ports.Table: one SQL table per member, named after it with
-- "kv_" in front. Keys sort as bytes, values are opaque here. All of this can be made anew from the
-- log and the folder, except what META and INVITATION hold of our own.
--
-- WITHOUT ROWID keeps a value beside its key: one look-up, and scans in key order read in a row.
-- crc is the CRC-32 of key and value (see 0001_log.sql).

CREATE TABLE kv_meta (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_record (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_folder (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_disk (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_text (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_text_log (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_chunk (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_member (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_author (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_address (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE kv_invitation (
    key   BLOB    PRIMARY KEY NOT NULL,
    crc   INTEGER NOT NULL,
    value BLOB    NOT NULL
) WITHOUT ROWID;
