-- Without a rowid a row is kept in an index's page, which holds a quarter of a page of it at most: with pages of 1 kB
-- nearly every event took a page of its own.
CREATE TABLE market_event_narrow (
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    tx_hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (block, log_index)
) STRICT;
INSERT INTO market_event_narrow SELECT * FROM market_event ORDER BY block, log_index;
DROP TABLE market_event;
ALTER TABLE market_event_narrow RENAME TO market_event;
