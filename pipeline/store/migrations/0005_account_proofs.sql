-- Number 8 of verification: balances proved by headers (ADR 7).
CREATE TABLE raw_account_proof (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, block_hash VARCHAR NOT NULL, header VARCHAR, asset VARCHAR NOT NULL,
    wallet VARCHAR NOT NULL, address VARCHAR NOT NULL, value DECIMAL(38,0) NOT NULL, proof VARCHAR[] NOT NULL);
