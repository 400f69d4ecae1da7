-- Messages that owners signed with the keys of the pool's addresses (ADR 15).
CREATE TABLE raw_wallet_signature (event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, chain VARCHAR NOT NULL, address VARCHAR NOT NULL, message VARCHAR NOT NULL,
    signature VARCHAR NOT NULL, "by" VARCHAR NOT NULL, "at" BIGINT NOT NULL);
