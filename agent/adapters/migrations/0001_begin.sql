-- Minute rows of both meters lie beside each other, so that a minute's commit touches one page.
CREATE TABLE minute (
    minute INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('production', 'consumption')),
    register_wh INTEGER,
    power_min_w INTEGER,
    power_mean_w INTEGER,
    power_max_w INTEGER,
    good INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    PRIMARY KEY (minute, role)
) WITHOUT ROWID, STRICT;

-- What is known of each meter's register, as of the last commit.
CREATE TABLE register (
    role TEXT PRIMARY KEY CHECK (role IN ('production', 'consumption')),
    raw_wh INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    rollovers INTEGER NOT NULL,
    serial TEXT
) WITHOUT ROWID, STRICT;

-- The outbox: one row for each thing that the household wants on the chain.
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    data BLOB NOT NULL,
    gas INTEGER NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    nonce INTEGER UNIQUE,
    foreign_sightings INTEGER NOT NULL DEFAULT 0,
    included_hash TEXT,
    included_number INTEGER,
    included_block TEXT,
    included_ok INTEGER,
    why TEXT NOT NULL DEFAULT '',
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX entry_open ON entry (id) WHERE state IN ('queued', 'signed', 'sent', 'included');

-- Signed bytes, kept before they are sent; several where the fee was raised.
CREATE TABLE attempt (
    tx_hash TEXT PRIMARY KEY,
    entry_id INTEGER NOT NULL REFERENCES entry (id),
    raw BLOB NOT NULL,
    max_fee INTEGER NOT NULL,
    priority_fee INTEGER NOT NULL,
    signed_at INTEGER NOT NULL,
    accepted_at INTEGER,
    sent_at INTEGER
) STRICT;
CREATE INDEX attempt_entry ON attempt (entry_id);

-- One row an interval. The sequence and the signature come with sealing.
CREATE TABLE reading (
    id INTEGER PRIMARY KEY,
    interval_end INTEGER NOT NULL UNIQUE,
    period_s INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    produced_wh INTEGER NOT NULL,
    consumed_wh INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    gap_s INTEGER NOT NULL,
    raw_production BLOB NOT NULL,
    raw_consumption BLOB NOT NULL,
    sequence INTEGER,
    signature BLOB,
    state TEXT NOT NULL,
    entry_id INTEGER REFERENCES entry (id),
    refusals INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '',
    UNIQUE (epoch, sequence)
) STRICT;
CREATE INDEX reading_open ON reading (id) WHERE state IN ('closed', 'sealed', 'bundled');
CREATE INDEX reading_entry ON reading (entry_id) WHERE entry_id IS NOT NULL;

-- What happened, for the household, for the installer and for telemetry.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    level TEXT NOT NULL,
    facts TEXT NOT NULL
) STRICT;

-- Single values: epoch, marks, the reason of a halt, the chain's parameters.
CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;
