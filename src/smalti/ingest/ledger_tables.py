"""The tables of the ledger of arrivals, and how those of an earlier version become today's."""

import sqlite3
import uuid

_TABLES = """
CREATE TABLE ledger (id TEXT NOT NULL);
CREATE TABLE files (
    source TEXT NOT NULL, name BLOB NOT NULL,
    seen TEXT NOT NULL, seen_at REAL NOT NULL,  -- its identity at the last look, and since when
    validated TEXT,                             -- its identity when it was validated
    state TEXT NOT NULL DEFAULT 'there',        -- there, quarantined, or gone
    told_gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, name)
) WITHOUT ROWID;
CREATE TABLE keys (folded TEXT PRIMARY KEY, key TEXT NOT NULL, name BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX keys_by_name ON keys (name);
CREATE TABLE arrivals (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL, name BLOB NOT NULL, identity TEXT NOT NULL, key TEXT NOT NULL,
    content TEXT NOT NULL,                      -- digest of its bytes and its card
    accepted INTEGER NOT NULL, report TEXT NOT NULL,
    unmoved INTEGER NOT NULL DEFAULT 0,         -- rejected, and not yet in quarantine
    place TEXT NOT NULL DEFAULT '',             -- where in quarantine it is, or why it is not
    batch TEXT,                                 -- with which others it is reported
    reported INTEGER NOT NULL DEFAULT 0,
    partition_key TEXT,                         -- once reported: the partition that has its bytes, if any
    recorded INTEGER NOT NULL DEFAULT 0         -- once reported: it was recorded as a new version of that partition
);
CREATE TABLE ignored (source TEXT PRIMARY KEY, names TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX arrivals_by_content ON arrivals (content);
CREATE INDEX arrivals_by_name ON arrivals (source, name);
CREATE INDEX arrivals_by_key ON arrivals (key);
CREATE INDEX arrivals_unreported ON arrivals (number) WHERE NOT reported;
CREATE INDEX arrivals_unmoved ON arrivals (number) WHERE unmoved;
CREATE INDEX arrivals_rejected ON arrivals (number) WHERE NOT accepted;
CREATE INDEX arrivals_with_partition ON arrivals (content) WHERE partition_key = key;
"""
_FROM_0_1 = """
ALTER TABLE files RENAME COLUMN judged TO validated;
ALTER TABLE arrivals RENAME COLUMN verdict TO report;
"""
# A ledger in which what was reported was recorded under a run that had not been launched.
_FROM_RUNS = """
ALTER TABLE arrivals RENAME COLUMN run TO batch;
ALTER TABLE arrivals ADD COLUMN partition_key TEXT;
ALTER TABLE arrivals ADD COLUMN recorded INTEGER NOT NULL DEFAULT 0;
UPDATE arrivals SET partition_key = key, recorded = instr(report, '"dropped_again"') = 0 WHERE accepted AND reported;
CREATE TABLE ignored (source TEXT PRIMARY KEY, names TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX arrivals_rejected ON arrivals (number) WHERE NOT accepted;
CREATE INDEX arrivals_with_partition ON arrivals (content) WHERE partition_key = key;
"""


def set_up(db: sqlite3.Connection) -> None:
    """Make the tables where there are none, and bring earlier ones up to date, all of it or nothing.

    Nobody else may be setting up the same file.
    """
    empty, files, arrivals = not _columns(db, "ledger"), _columns(db, "files"), _columns(db, "arrivals")
    wanted = (_TABLES if empty else "", _FROM_0_1 if "judged" in files else "", _FROM_RUNS if "run" in arrivals else "")
    if not any(wanted):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in (one for statements in wanted for one in statements.split(";\n")):  # executescript commits
            db.execute(statement)
        if empty:
            db.execute("INSERT INTO ledger VALUES (?)", (uuid.uuid4().hex[:12],))
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
