-- Documents that labels, waivers and off-chain transfers rest on: their digests.
CREATE TABLE raw_document (
    event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, about VARCHAR NOT NULL, month VARCHAR, ref VARCHAR NOT NULL, name VARCHAR NOT NULL, digest VARCHAR NOT NULL,
    size BIGINT NOT NULL, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL);
