-- Sources of the ledger (ADR 22). Every version of every row seen, as canonical JSON; a NULL content: the row was gone.  Instants: µs.
CREATE TABLE raw_source_row (
    source VARCHAR NOT NULL, source_table VARCHAR NOT NULL, row_id VARCHAR NOT NULL, version INTEGER NOT NULL, seen_at BIGINT NOT NULL, content VARCHAR);
CREATE TABLE raw_source_look (source VARCHAR NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, looks INTEGER NOT NULL, newest BIGINT);
CREATE TABLE raw_source_item (
    source VARCHAR NOT NULL, item VARCHAR NOT NULL, version INTEGER NOT NULL, is_open BOOLEAN NOT NULL, code VARCHAR NOT NULL, date DATE NOT NULL, detail VARCHAR NOT NULL);
CREATE TABLE raw_source_complete (source VARCHAR NOT NULL, through DATE NOT NULL, reason VARCHAR NOT NULL);
CREATE TABLE raw_source_decision (
    event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, source VARCHAR NOT NULL, item VARCHAR NOT NULL, outcome VARCHAR NOT NULL, txid VARCHAR,
    "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL);
