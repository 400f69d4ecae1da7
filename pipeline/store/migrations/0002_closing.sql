-- What happened to months after their freeze.
-- How months were approved, signed, filed, answered, corrected and told of: an event a row, whole in `event`.
CREATE TABLE raw_closing (
    event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, type VARCHAR NOT NULL, month VARCHAR, version INTEGER, submission_id VARCHAR,
    outcome VARCHAR, receipt VARCHAR, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL, event JSON NOT NULL);
