-- How many nodes said the same of final blocks (ADR 20); `is_main` is false once one of them left the main chain.
CREATE TABLE raw_witness (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, last BIGINT NOT NULL, hash VARCHAR NOT NULL, nodes VARCHAR[] NOT NULL,
    reason VARCHAR NOT NULL, is_main BOOLEAN NOT NULL);
-- Blocks of which two nodes said different things (ADR 20); `is_main` is false once the block left the main chain.
CREATE TABLE raw_disagreement (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, hash VARCHAR NOT NULL, time BIGINT NOT NULL, nodes VARCHAR[] NOT NULL,
    answers VARCHAR[] NOT NULL, is_main BOOLEAN NOT NULL);
