-- What an entry sends along, wei as a decimal number: SQLite's integers end at nine units of an 18-decimal currency.
ALTER TABLE entry ADD COLUMN value TEXT NOT NULL DEFAULT '0';

-- The contract's events about this household and about the tariff, once they are final.
CREATE TABLE market_event (
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    tx_hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (block, log_index)
) WITHOUT ROWID, STRICT;

-- What the standing rule decided after an interval, and why; one row an interval, so that it decides once.
CREATE TABLE decision (
    interval_end INTEGER PRIMARY KEY,
    decided_at INTEGER NOT NULL,
    steps TEXT NOT NULL
) STRICT;
