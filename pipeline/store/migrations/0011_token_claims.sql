-- Account chains: what stands behind a log by which an unknown token claims to leave a pool wallet: what was held before and after, and who signed.
ALTER TABLE raw_input ADD COLUMN held DECIMAL(38,0);
ALTER TABLE raw_input ADD COLUMN held_after DECIMAL(38,0);
ALTER TABLE raw_input ADD COLUMN signed_by VARCHAR;
