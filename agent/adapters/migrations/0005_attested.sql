-- What shows an event: 0 enough full nodes say so; 1 it is proven, and of the order that it put in something may yet be
-- sold; 2 it is proven. Readings keep their 0: the household's slot proves them all at once.
ALTER TABLE market_event ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;
CREATE INDEX market_event_open ON market_event (block) WHERE shown < 2 AND name <> 'reading';
