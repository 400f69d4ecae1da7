-- The store's tables, version 1. All of it is derived from the log (law 1).
-- raw_*: as read from the log.  Amounts are whole base units: DECIMAL(38,0).  Instants: BIGINT, seconds for chains, µs for the ledger.

CREATE TABLE store_version (version INTEGER NOT NULL);

-- Law 4: positions are committed together with the rows that came from them.
CREATE TABLE raw_position (place VARCHAR PRIMARY KEY, next_offset BIGINT NOT NULL);
CREATE TABLE raw_bad_event (place VARCHAR NOT NULL, log_offset BIGINT NOT NULL, key VARCHAR, error VARCHAR NOT NULL, PRIMARY KEY (place, log_offset));

-- One row a block ever connected; is_main says whether it is in the main chain now.
CREATE TABLE raw_block (
    chain VARCHAR NOT NULL, hash VARCHAR NOT NULL, height BIGINT NOT NULL, prev VARCHAR NOT NULL,
    time BIGINT NOT NULL, mediantime BIGINT NOT NULL, header VARCHAR, is_main BOOLEAN NOT NULL,
    PRIMARY KEY (chain, hash));
CREATE TABLE raw_transaction (
    chain VARCHAR NOT NULL, block_hash VARCHAR NOT NULL, txid VARCHAR NOT NULL, position INTEGER NOT NULL, is_coinbase BOOLEAN NOT NULL,
    other_inputs INTEGER NOT NULL, other_inputs_value DECIMAL(38,0) NOT NULL, fee DECIMAL(38,0) NOT NULL, fee_asset VARCHAR NOT NULL,
    raw VARCHAR, branch VARCHAR[]);
CREATE TABLE raw_input (
    chain VARCHAR NOT NULL, block_hash VARCHAR NOT NULL, txid VARCHAR NOT NULL, spent_txid VARCHAR NOT NULL, spent_vout INTEGER NOT NULL,
    value DECIMAL(38,0) NOT NULL, address VARCHAR, wallet VARCHAR NOT NULL, asset VARCHAR NOT NULL);
CREATE TABLE raw_output (
    chain VARCHAR NOT NULL, block_hash VARCHAR NOT NULL, txid VARCHAR NOT NULL, vout INTEGER NOT NULL,
    value DECIMAL(38,0) NOT NULL, address VARCHAR, wallet VARCHAR, asset VARCHAR NOT NULL, script_type VARCHAR NOT NULL,
    is_unspendable BOOLEAN NOT NULL, ref VARCHAR NOT NULL);
CREATE TABLE raw_watch (chain VARCHAR NOT NULL, seq BIGINT NOT NULL, network VARCHAR NOT NULL, start_height BIGINT NOT NULL, wallets JSON NOT NULL);
-- The newest chain event of each chain: its seq must grow by one (nothing is skipped silently).
CREATE TABLE raw_chain_tip (chain VARCHAR PRIMARY KEY, seq BIGINT NOT NULL, hash VARCHAR, height BIGINT);

-- Every version of every ledger row; the greatest version counts (core_allocation, core_payment).
CREATE TABLE raw_allocation (
    allocation_id VARCHAR NOT NULL, version INTEGER NOT NULL, account VARCHAR NOT NULL, asset VARCHAR NOT NULL, allocated_at BIGINT NOT NULL,
    amount DECIMAL(38,0) NOT NULL, commission_asset VARCHAR, commission_amount DECIMAL(38,0),
    commission_currency VARCHAR, commission_currency_amount VARCHAR);
CREATE TABLE raw_payment (
    payment_id VARCHAR NOT NULL, version INTEGER NOT NULL, account VARCHAR NOT NULL, asset VARCHAR NOT NULL, address VARCHAR NOT NULL,
    amount DECIMAL(38,0) NOT NULL, txid VARCHAR NOT NULL, paid_at BIGINT NOT NULL);
CREATE TABLE raw_opening (
    account VARCHAR NOT NULL, asset VARCHAR NOT NULL, version INTEGER NOT NULL, amount DECIMAL(38,0) NOT NULL, owed_at BIGINT NOT NULL);
CREATE TABLE raw_complete (through DATE NOT NULL);

CREATE TABLE raw_registry (version INTEGER NOT NULL, digest VARCHAR NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, PRIMARY KEY (version, part));
CREATE TABLE raw_miner (version INTEGER NOT NULL, miner_id VARCHAR NOT NULL, name VARCHAR NOT NULL);
CREATE TABLE raw_licence (
    version INTEGER NOT NULL, miner_id VARCHAR NOT NULL, licence_number VARCHAR NOT NULL, issue_date DATE NOT NULL,
    valid_from DATE NOT NULL, valid_to DATE, suspended_from DATE, suspended_to DATE);
CREATE TABLE raw_account (version INTEGER NOT NULL, account VARCHAR NOT NULL, miner_id VARCHAR NOT NULL, valid_from DATE NOT NULL, valid_to DATE);
CREATE TABLE raw_wallet (version INTEGER NOT NULL, address VARCHAR NOT NULL, chain VARCHAR NOT NULL, miner_id VARCHAR NOT NULL, valid_from DATE NOT NULL, valid_to DATE);
CREATE TABLE raw_counterparty (version INTEGER NOT NULL, address VARCHAR NOT NULL, chain VARCHAR NOT NULL, outflow_class VARCHAR NOT NULL, name VARCHAR NOT NULL);

CREATE TABLE raw_label (log_offset BIGINT NOT NULL, chain VARCHAR NOT NULL, address VARCHAR NOT NULL, outflow_class VARCHAR NOT NULL, name VARCHAR NOT NULL,
    "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL);
CREATE TABLE raw_waiver (log_offset BIGINT NOT NULL, month VARCHAR NOT NULL, code VARCHAR NOT NULL, ref VARCHAR NOT NULL, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL);
CREATE TABLE raw_frozen (log_offset BIGINT NOT NULL, month VARCHAR NOT NULL, version INTEGER NOT NULL, digest VARCHAR NOT NULL, event JSON NOT NULL);
