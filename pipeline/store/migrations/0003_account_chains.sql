-- Account chains (ADR 7): who bears a fee, what proves a receipt, what addresses held, what was told differently.
ALTER TABLE raw_transaction ADD COLUMN fee_wallet VARCHAR;
ALTER TABLE raw_transaction ADD COLUMN receipt VARCHAR;
ALTER TABLE raw_transaction ADD COLUMN transaction_proof VARCHAR[];
ALTER TABLE raw_transaction ADD COLUMN receipt_proof VARCHAR[];
ALTER TABLE raw_watch ADD COLUMN internal_calls VARCHAR;
CREATE TABLE raw_balance (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, block_hash VARCHAR NOT NULL, wallet VARCHAR NOT NULL,
    address VARCHAR NOT NULL, asset VARCHAR NOT NULL, value DECIMAL(38,0));
CREATE TABLE raw_doubt (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, hash VARCHAR NOT NULL, time BIGINT NOT NULL, detail VARCHAR NOT NULL);
-- A balance that nobody could tell is null.
ALTER TABLE out_balance ALTER COLUMN opening DROP NOT NULL;
ALTER TABLE out_balance ALTER COLUMN closing DROP NOT NULL;
ALTER TABLE out_balance ALTER COLUMN unspent DROP NOT NULL;
