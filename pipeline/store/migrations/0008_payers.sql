-- Who paid, where it was not the pool itself (rule 10): an off-chain transfer has no block; the addresses followed for on-chain payers.
ALTER TABLE raw_payment ADD COLUMN payer VARCHAR;
ALTER TABLE raw_watch ADD COLUMN payees VARCHAR[];
ALTER TABLE out_transfer ADD COLUMN payer VARCHAR;
ALTER TABLE out_transfer ALTER COLUMN block_hash DROP NOT NULL;
ALTER TABLE out_transfer ALTER COLUMN height DROP NOT NULL;
ALTER TABLE out_report ADD COLUMN payer VARCHAR;
