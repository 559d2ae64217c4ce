-- What proves something without trusting a full node, as evidence files, compressed. One row an entry that carries an
-- order, a purchase or a redemption; and one row without an entry, the newest proof of the household's slot, which
-- covers every reading before it and is written over each time.
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    entry_id INTEGER UNIQUE REFERENCES entry (id),
    block INTEGER NOT NULL,
    proven_at INTEGER NOT NULL,
    file BLOB NOT NULL
) STRICT;

-- Full nodes that were caught lying, what they said, and until when they are not asked.
CREATE TABLE lie (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    node TEXT NOT NULL,
    area TEXT NOT NULL,
    why TEXT NOT NULL,
    told TEXT NOT NULL
) STRICT;
