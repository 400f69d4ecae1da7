-- The store's tables, version 3. All of it is derived from the log (law 1).
-- raw_*: as read from the log.  Amounts are whole base units: DECIMAL(38,0).  Instants: BIGINT, seconds for chains, µs for the ledger.

-- views_digest names the views and comments that the file was given: they are made anew when the program's are others.
CREATE TABLE store_version (version INTEGER NOT NULL, views_digest VARCHAR NOT NULL);

-- Law 4: positions are committed together with the rows that came from them.
CREATE TABLE raw_position (place VARCHAR PRIMARY KEY, next_offset BIGINT NOT NULL);
-- Law 8: events that can't be read, or that contradict one read before, each with its place. The stream goes on after them.
CREATE TABLE raw_bad_event (place VARCHAR NOT NULL, log_offset BIGINT NOT NULL, key VARCHAR, error VARCHAR NOT NULL, code VARCHAR, PRIMARY KEY (place, log_offset));
-- Who may write to the log (ADR 14): the state of each stream (topic and key) at the positions, committed with them; what proves people's decisions.
CREATE TABLE raw_stream (
    topic VARCHAR NOT NULL, key VARCHAR NOT NULL, root VARCHAR NOT NULL, is_in_force BOOLEAN NOT NULL, number BIGINT NOT NULL, digest VARCHAR NOT NULL,
    before_keys BIGINT NOT NULL, refused BIGINT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (topic, key));
CREATE TABLE raw_signed (
    topic VARCHAR NOT NULL, key VARCHAR NOT NULL, log_offset BIGINT NOT NULL, id VARCHAR NOT NULL, type VARCHAR NOT NULL, value BLOB NOT NULL, signature BLOB NOT NULL);
-- Every event read, bad ones too: the same (topic, key, id) again with the same digest is a duplicate and is skipped.
-- digest: SHA-256 of the event's bytes, hex.  type: NULL where the event can't be read.
CREATE TABLE raw_event (topic VARCHAR NOT NULL, key VARCHAR NOT NULL, id VARCHAR NOT NULL, type VARCHAR, log_offset BIGINT NOT NULL, digest VARCHAR NOT NULL);

-- One row a block ever connected; is_main says whether it is in the main chain now.
CREATE TABLE raw_block (
    chain VARCHAR NOT NULL, hash VARCHAR NOT NULL, height BIGINT NOT NULL, prev VARCHAR NOT NULL,
    time BIGINT NOT NULL, mediantime BIGINT NOT NULL, header VARCHAR, is_main BOOLEAN NOT NULL,
    PRIMARY KEY (chain, hash));
CREATE TABLE raw_transaction (
    chain VARCHAR NOT NULL, block_hash VARCHAR NOT NULL, txid VARCHAR NOT NULL, position INTEGER NOT NULL, is_coinbase BOOLEAN NOT NULL,
    other_inputs INTEGER NOT NULL, other_inputs_value DECIMAL(38,0) NOT NULL, fee DECIMAL(38,0) NOT NULL, fee_asset VARCHAR NOT NULL,
    raw VARCHAR, branch VARCHAR[], fee_wallet VARCHAR, receipt VARCHAR, transaction_proof VARCHAR[], receipt_proof VARCHAR[]);
CREATE TABLE raw_input (
    chain VARCHAR NOT NULL, block_hash VARCHAR NOT NULL, txid VARCHAR NOT NULL, spent_txid VARCHAR NOT NULL, spent_vout INTEGER NOT NULL,
    value DECIMAL(38,0) NOT NULL, address VARCHAR, wallet VARCHAR NOT NULL, asset VARCHAR NOT NULL, held DECIMAL(38,0), held_after DECIMAL(38,0), signed_by VARCHAR);
CREATE TABLE raw_output (
    chain VARCHAR NOT NULL, block_hash VARCHAR NOT NULL, txid VARCHAR NOT NULL, vout INTEGER NOT NULL,
    value DECIMAL(38,0) NOT NULL, address VARCHAR, wallet VARCHAR, asset VARCHAR NOT NULL, script_type VARCHAR NOT NULL,
    is_unspendable BOOLEAN NOT NULL, ref VARCHAR NOT NULL);
CREATE TABLE raw_watch (chain VARCHAR NOT NULL, seq BIGINT NOT NULL, network VARCHAR NOT NULL, start_height BIGINT NOT NULL, wallets JSON NOT NULL, internal_calls VARCHAR, payees VARCHAR[], authorizations_from BIGINT);
-- What a node said that the pool's addresses held after a block (ADR 7); a NULL value: it could not tell.  Of one block the greatest seq counts.
CREATE TABLE raw_balance (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, block_hash VARCHAR NOT NULL, wallet VARCHAR NOT NULL,
    address VARCHAR NOT NULL, asset VARCHAR NOT NULL, value DECIMAL(38,0));
-- What accounts held, each with its proof under the block's state root, those of blocks that left the main chain too.
CREATE TABLE raw_account_proof (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, block_hash VARCHAR NOT NULL, header VARCHAR, asset VARCHAR NOT NULL,
    wallet VARCHAR NOT NULL, address VARCHAR NOT NULL, value DECIMAL(38,0) NOT NULL, proof VARCHAR[] NOT NULL);
-- Blocks that were told differently when they were read again; with a txid: a transaction whose internal calls two witnesses tell differently.
CREATE TABLE raw_doubt (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, hash VARCHAR NOT NULL, time BIGINT NOT NULL, detail VARCHAR NOT NULL, txid VARCHAR);
-- How many nodes said the same of final blocks (ADR 20); `is_main` is false once one of them left the main chain.
CREATE TABLE raw_witness (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, last BIGINT NOT NULL, hash VARCHAR NOT NULL, nodes VARCHAR[] NOT NULL,
    reason VARCHAR NOT NULL, is_main BOOLEAN NOT NULL);
-- Blocks of which two nodes said different things (ADR 20); `is_main` is false once the block left the main chain.
CREATE TABLE raw_disagreement (
    chain VARCHAR NOT NULL, seq BIGINT NOT NULL, height BIGINT NOT NULL, hash VARCHAR NOT NULL, time BIGINT NOT NULL, nodes VARCHAR[] NOT NULL,
    answers VARCHAR[] NOT NULL, is_main BOOLEAN NOT NULL);
-- Transactions that payments of on-chain payers name and that were looked for in the whole main chain (rule 10.8).
CREATE TABLE raw_sought (chain VARCHAR NOT NULL, seq BIGINT NOT NULL, txid VARCHAR NOT NULL, is_sought BOOLEAN DEFAULT true);
-- The newest chain event of each chain: its seq must grow by one (nothing is skipped silently).
CREATE TABLE raw_chain_tip (chain VARCHAR PRIMARY KEY, seq BIGINT NOT NULL, hash VARCHAR, height BIGINT);

-- Every version of every ledger row; the greatest version counts (core_allocation, core_payment).
CREATE TABLE raw_allocation (
    allocation_id VARCHAR NOT NULL, version INTEGER NOT NULL, account VARCHAR NOT NULL, asset VARCHAR NOT NULL, allocated_at BIGINT NOT NULL,
    amount DECIMAL(38,0) NOT NULL, commission_asset VARCHAR, commission_amount DECIMAL(38,0),
    commission_currency VARCHAR, commission_currency_amount VARCHAR);
CREATE TABLE raw_payment (
    payment_id VARCHAR NOT NULL, version INTEGER NOT NULL, account VARCHAR NOT NULL, asset VARCHAR NOT NULL, address VARCHAR NOT NULL,
    amount DECIMAL(38,0) NOT NULL, txid VARCHAR NOT NULL, paid_at BIGINT NOT NULL, payer VARCHAR);
CREATE TABLE raw_opening (
    account VARCHAR NOT NULL, asset VARCHAR NOT NULL, version INTEGER NOT NULL, amount DECIMAL(38,0) NOT NULL, owed_at BIGINT NOT NULL);
CREATE TABLE raw_complete (through DATE NOT NULL);

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

-- Registry versions; one counts when all its parts are there, and of those the greatest.
CREATE TABLE raw_registry (version INTEGER NOT NULL, digest VARCHAR NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, PRIMARY KEY (version, part));
CREATE TABLE raw_miner (version INTEGER NOT NULL, miner_id VARCHAR NOT NULL, name VARCHAR NOT NULL);
CREATE TABLE raw_licence (
    version INTEGER NOT NULL, miner_id VARCHAR NOT NULL, licence_number VARCHAR NOT NULL, issue_date DATE NOT NULL,
    valid_from DATE NOT NULL, valid_to DATE, suspended_from DATE, suspended_to DATE);
CREATE TABLE raw_account (version INTEGER NOT NULL, account VARCHAR NOT NULL, miner_id VARCHAR NOT NULL, valid_from DATE NOT NULL, valid_to DATE);
CREATE TABLE raw_wallet (version INTEGER NOT NULL, address VARCHAR NOT NULL, chain VARCHAR NOT NULL, miner_id VARCHAR NOT NULL, valid_from DATE NOT NULL, valid_to DATE);
CREATE TABLE raw_counterparty (version INTEGER NOT NULL, address VARCHAR NOT NULL, chain VARCHAR NOT NULL, outflow_class VARCHAR NOT NULL, name VARCHAR NOT NULL);

-- What people decided about months and addresses; of labels of one address the greatest log_offset counts.
CREATE TABLE raw_label (event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, chain VARCHAR NOT NULL, address VARCHAR NOT NULL, outflow_class VARCHAR NOT NULL, name VARCHAR NOT NULL,
    "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL);
CREATE TABLE raw_waiver (event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, month VARCHAR NOT NULL, code VARCHAR NOT NULL, ref VARCHAR NOT NULL, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL, facts VARCHAR);
-- Documents that labels, waivers and off-chain transfers rest on: their digests.
CREATE TABLE raw_document (
    event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, about VARCHAR NOT NULL, month VARCHAR, ref VARCHAR NOT NULL, name VARCHAR NOT NULL, digest VARCHAR NOT NULL,
    size BIGINT NOT NULL, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL);
CREATE TABLE raw_wallet_signature (event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, chain VARCHAR NOT NULL, address VARCHAR NOT NULL, message VARCHAR NOT NULL,
    signature VARCHAR NOT NULL, "by" VARCHAR NOT NULL, "at" BIGINT NOT NULL);
CREATE TABLE raw_frozen (event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, month VARCHAR NOT NULL, version INTEGER NOT NULL, digest VARCHAR NOT NULL, event JSON NOT NULL);
-- How months were approved, signed, filed, answered, corrected and told of: an event a row, whole in `event`.
CREATE TABLE raw_closing (
    event_id VARCHAR NOT NULL, log_offset BIGINT NOT NULL, type VARCHAR NOT NULL, month VARCHAR, version INTEGER, submission_id VARCHAR,
    outcome VARCHAR, receipt VARCHAR, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, "at" BIGINT NOT NULL, event JSON NOT NULL);

-- out_*: what enrichment last made of a month, open or frozen; a month's rows are replaced together.
CREATE TABLE out_asset (asset VARCHAR PRIMARY KEY, chain VARCHAR NOT NULL, decimals INTEGER NOT NULL);
CREATE TABLE out_report (
    month VARCHAR NOT NULL, n BIGINT NOT NULL, miner_id VARCHAR, miner_name VARCHAR, licence_number VARCHAR, licence_issue_date DATE,
    wallet VARCHAR, allocation_date DATE NOT NULL, asset VARCHAR NOT NULL, amount DECIMAL(38,0) NOT NULL,
    transfer_amount DECIMAL(38,0), transfer_date DATE, commission_asset VARCHAR, commission_asset_amount DECIMAL(38,0),
    commission_currency VARCHAR, commission_currency_amount VARCHAR,
    allocation_id VARCHAR NOT NULL, txid VARCHAR, is_carried BOOLEAN NOT NULL, payer VARCHAR);
CREATE TABLE out_outflow (
    month VARCHAR NOT NULL, chain VARCHAR NOT NULL, txid VARCHAR NOT NULL, vout INTEGER NOT NULL, address VARCHAR, asset VARCHAR NOT NULL,
    amount DECIMAL(38,0) NOT NULL, class VARCHAR NOT NULL, block_height BIGINT NOT NULL, date DATE NOT NULL);
-- A month's own transfers: those dated in it.
CREATE TABLE out_transfer (
    month VARCHAR NOT NULL, chain VARCHAR NOT NULL, txid VARCHAR NOT NULL, address VARCHAR NOT NULL, asset VARCHAR NOT NULL, miner_id VARCHAR,
    amount DECIMAL(38,0) NOT NULL, credited DECIMAL(38,0), explanation VARCHAR, "at" BIGINT NOT NULL, date DATE NOT NULL,
    block_hash VARCHAR, height BIGINT, payer VARCHAR);
CREATE TABLE out_balance (
    month VARCHAR NOT NULL, wallet VARCHAR NOT NULL, asset VARCHAR NOT NULL, opening DECIMAL(38,0), "in" DECIMAL(38,0) NOT NULL,
    "out" DECIMAL(38,0) NOT NULL, fee DECIMAL(38,0) NOT NULL, closing DECIMAL(38,0), unspent DECIMAL(38,0));
CREATE TABLE out_issue (month VARCHAR NOT NULL, code VARCHAR NOT NULL, severity VARCHAR NOT NULL, ref VARCHAR NOT NULL, detail VARCHAR NOT NULL, facts VARCHAR, ref_before VARCHAR);
CREATE TABLE out_totals (month VARCHAR PRIMARY KEY, totals JSON NOT NULL);
-- What months begin with, so that the years before them are not read again (ADR 25).
CREATE TABLE out_checkpoint (
    month VARCHAR NOT NULL, rules VARCHAR NOT NULL, since_us BIGINT NOT NULL, rests_on JSON NOT NULL, starts_at BIGINT NOT NULL, observed VARCHAR[] NOT NULL,
    allocations BLOB NOT NULL, credits BLOB NOT NULL, heights BLOB NOT NULL, coins BLOB NOT NULL, wallets BLOB NOT NULL, transactions BLOB NOT NULL,
    payments BLOB NOT NULL, payers BLOB NOT NULL);
