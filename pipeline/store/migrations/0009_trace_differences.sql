-- Account chains: of which transaction two witnesses tell the internal calls differently; null where a block was told otherwise when it was read again.
ALTER TABLE raw_doubt ADD COLUMN txid VARCHAR;
