-- Account chains: a transaction that was looked for, and whose calls could not be traced when its block was read, is to be looked for again.
ALTER TABLE raw_sought ADD COLUMN is_sought BOOLEAN DEFAULT true;
