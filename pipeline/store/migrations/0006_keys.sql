-- Who may write to the log (ADR 14): the state of each stream at the store's positions, and what proves people's decisions.
CREATE TABLE raw_stream (
    topic VARCHAR NOT NULL, key VARCHAR NOT NULL, root VARCHAR NOT NULL, is_in_force BOOLEAN NOT NULL, number BIGINT NOT NULL, digest VARCHAR NOT NULL,
    before_keys BIGINT NOT NULL, refused BIGINT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (topic, key));
CREATE TABLE raw_signed (
    topic VARCHAR NOT NULL, key VARCHAR NOT NULL, log_offset BIGINT NOT NULL, id VARCHAR NOT NULL, type VARCHAR NOT NULL, value BLOB NOT NULL, signature BLOB NOT NULL);
ALTER TABLE raw_bad_event ADD COLUMN code VARCHAR;
