-- The views, made anew whenever this file or comments.toml differs from what the store was given.
-- core_*: the facts in force, which enrichment reads.  The rest is for analysts: printed amounts beside base units, instants as
-- TIMESTAMP in UTC (…_at), days in Almaty (…_date, date; rule 1.2).  Every column's meaning is in comments.toml.

-- An amount as it prints: all the asset's decimals, a dot, no exponent (rule 2.2).
CREATE OR REPLACE MACRO digits_of(units, decimals) AS
    lpad(abs(units)::VARCHAR, CAST(greatest(length(abs(units)::VARCHAR), decimals + 1) AS INTEGER), '0');
CREATE OR REPLACE MACRO printed(units, decimals) AS
    CASE WHEN decimals = 0 THEN units::VARCHAR
    ELSE CASE WHEN units < 0 THEN '-' ELSE '' END || left(digits_of(units, decimals), -decimals) || '.' || right(digits_of(units, decimals), decimals)
    END;
-- The day in Almaty of an instant in microseconds (rule 1.2).
CREATE OR REPLACE MACRO almaty_date(at_us) AS CAST(timezone('Asia/Almaty', make_timestamptz(at_us)) AS DATE);

-- --- core: facts in force

-- A row counts unless a greater version of it is there; in whatever order they were read.
CREATE OR REPLACE VIEW core_allocation AS
SELECT a.* FROM raw_allocation a
WHERE NOT EXISTS (SELECT 1 FROM raw_allocation newer WHERE newer.version > 1 AND newer.allocation_id = a.allocation_id AND newer.version > a.version);
CREATE OR REPLACE VIEW core_payment AS
SELECT p.* FROM raw_payment p
WHERE NOT EXISTS (SELECT 1 FROM raw_payment newer WHERE newer.version > 1 AND newer.payment_id = p.payment_id AND newer.version > p.version);
CREATE OR REPLACE VIEW core_opening AS
SELECT o.* FROM raw_opening o
WHERE NOT EXISTS (SELECT 1 FROM raw_opening newer
                  WHERE newer.version > 1 AND newer.account = o.account AND newer.asset = o.asset AND newer.version > o.version);

-- What waits at the ledger's sources: the newest version of each item, where that is open.
CREATE OR REPLACE VIEW core_source_item AS
SELECT source, item, code, date, detail FROM (
    SELECT * FROM raw_source_item QUALIFY row_number() OVER (PARTITION BY source, item ORDER BY version DESC) = 1)
WHERE is_open;

CREATE OR REPLACE VIEW core_block AS
SELECT chain, hash, height, prev, time, mediantime, header FROM raw_block WHERE is_main;
CREATE OR REPLACE VIEW core_transaction AS
SELECT t.* FROM raw_transaction t SEMI JOIN core_block b ON b.chain = t.chain AND b.hash = t.block_hash;
CREATE OR REPLACE VIEW core_input AS
SELECT i.* FROM raw_input i SEMI JOIN core_block b ON b.chain = i.chain AND b.hash = i.block_hash;
CREATE OR REPLACE VIEW core_output AS
SELECT o.* FROM raw_output o SEMI JOIN core_block b ON b.chain = o.chain AND b.hash = o.block_hash;
CREATE OR REPLACE VIEW core_watch AS
SELECT * FROM raw_watch QUALIFY row_number() OVER (PARTITION BY chain ORDER BY seq DESC) = 1;
CREATE OR REPLACE VIEW core_pool_wallet AS
SELECT DISTINCT chain, json_extract_string(w.wallet, '$.name') AS wallet
FROM (SELECT chain, unnest(from_json(wallets, '["JSON"]')) AS wallet FROM core_watch) w;

-- The newest version of the registry of which every part is there.
CREATE OR REPLACE VIEW core_registry AS
SELECT version, any_value(digest) AS digest FROM raw_registry GROUP BY version HAVING count(*) = any_value(parts) ORDER BY version DESC LIMIT 1;
CREATE OR REPLACE VIEW core_miner AS SELECT m.* FROM raw_miner m SEMI JOIN core_registry USING (version);
CREATE OR REPLACE VIEW core_licence AS SELECT l.* FROM raw_licence l SEMI JOIN core_registry USING (version);
CREATE OR REPLACE VIEW core_account AS SELECT a.* FROM raw_account a SEMI JOIN core_registry USING (version);
CREATE OR REPLACE VIEW core_wallet AS SELECT w.* FROM raw_wallet w SEMI JOIN core_registry USING (version);
CREATE OR REPLACE VIEW core_counterparty AS SELECT c.* FROM raw_counterparty c SEMI JOIN core_registry USING (version);
-- The registry's counterparties, overridden by the newest label a person gave.
CREATE OR REPLACE VIEW core_label AS
WITH given AS (SELECT * FROM raw_label QUALIFY row_number() OVER (PARTITION BY chain, address ORDER BY log_offset DESC) = 1)
SELECT chain, address, outflow_class, name, "by" AS labelled_by, reason, make_timestamp("at" * 1000000) AS labelled_at FROM given
UNION ALL
SELECT c.chain, c.address, c.outflow_class, c.name, NULL, NULL, NULL
FROM (SELECT DISTINCT chain, address, outflow_class, name FROM core_counterparty) c ANTI JOIN given USING (chain, address);

-- --- for analysts: the month

CREATE OR REPLACE VIEW report AS
SELECT r.month, r.n, r.miner_id, r.miner_name, r.licence_number, r.licence_issue_date, r.wallet, r.allocation_date, r.asset,
    r.amount, printed(r.amount, s.decimals) AS amount_printed,
    r.transfer_amount, printed(r.transfer_amount, s.decimals) AS transfer_amount_printed, r.transfer_date,
    r.commission_asset, r.commission_asset_amount, printed(r.commission_asset_amount, c.decimals) AS commission_asset_amount_printed,
    r.commission_currency, r.commission_currency_amount, r.allocation_id, r.txid, r.is_carried, r.txid IS NULL AS is_unsettled, r.payer
FROM out_report r LEFT JOIN out_asset s ON s.asset = r.asset LEFT JOIN out_asset c ON c.asset = r.commission_asset;

CREATE OR REPLACE VIEW outflows AS
SELECT o.month, o.chain, o.txid, o.vout, o.address, o.asset, o.amount, printed(o.amount, s.decimals) AS amount_printed, o.class,
    l.name AS counterparty, o.block_height, o.date
FROM out_outflow o LEFT JOIN out_asset s ON s.asset = o.asset LEFT JOIN core_label l ON l.chain = o.chain AND l.address = o.address;

CREATE OR REPLACE VIEW transfers AS
SELECT t.month, t.chain, t.txid, t.address, t.asset, t.miner_id, m.name AS miner_name,
    t.amount, printed(t.amount, s.decimals) AS amount_printed, t.credited, printed(t.credited, s.decimals) AS credited_printed,
    t.explanation, make_timestamp(t."at" * 1000000) AS transferred_at, t.date, t.block_hash, t.height, t.payer
FROM out_transfer t LEFT JOIN out_asset s ON s.asset = t.asset LEFT JOIN core_miner m ON m.miner_id = t.miner_id;

CREATE OR REPLACE VIEW balances AS
SELECT b.month, b.wallet, b.asset, b.opening, b."in" AS received, b."out" AS sent, b.fee, b.closing, b.unspent,
    b.closing - b.unspent AS difference, printed(b.opening, s.decimals) AS opening_printed, printed(b.closing, s.decimals) AS closing_printed
FROM out_balance b LEFT JOIN out_asset s ON s.asset = b.asset;

CREATE OR REPLACE VIEW waivers AS
SELECT month, code, ref, "by" AS waived_by, reason, make_timestamp("at" * 1000000) AS waived_at
FROM raw_waiver QUALIFY row_number() OVER (PARTITION BY month, code, ref ORDER BY log_offset DESC) = 1;

CREATE OR REPLACE VIEW issues AS
SELECT i.month, i.code, i.severity, i.ref, i.detail, w.ref IS NOT NULL AS is_waived, w."by" AS waived_by, w.reason AS waiver_reason,
    w.ref IS NULL AND g.ref IS NOT NULL AS is_waiver_lapsed
FROM out_issue i
LEFT JOIN raw_waiver w ON w.month = i.month AND w.code = i.code
    AND (w.ref = i.ref AND (w.facts IS NULL OR w.facts = i.facts) OR w.ref = i.ref_before AND w.facts IS NULL)
LEFT JOIN (SELECT DISTINCT month, code, ref FROM raw_waiver) g ON g.month = i.month AND g.code = i.code AND g.ref = i.ref
QUALIFY row_number() OVER (PARTITION BY i.month, i.code, i.ref ORDER BY w.log_offset DESC NULLS LAST) = 1;

CREATE OR REPLACE VIEW frozen_versions AS
SELECT month, version, digest, json_extract_string(event, '$.previous_digest') AS previous_digest,
    json_extract_string(event, '$.by') AS frozen_by, json_extract_string(event, '$.reason') AS reason,
    make_timestamp(CAST(json_extract_string(event, '$.at') AS BIGINT) * 1000000) AS frozen_at
FROM raw_frozen;

CREATE OR REPLACE VIEW closings AS
SELECT month, version, type, submission_id, outcome, receipt, "by" AS done_by, reason, make_timestamp("at" * 1000000) AS done_at
FROM raw_closing ORDER BY log_offset;

CREATE OR REPLACE VIEW months AS
WITH named AS (SELECT month FROM out_totals UNION SELECT month FROM raw_frozen),
    newest AS (SELECT month, version, digest FROM raw_frozen QUALIFY row_number() OVER (PARTITION BY month ORDER BY version DESC) = 1),
    counted AS (SELECT month, count(*) AS row_count FROM out_report GROUP BY month),
    judged AS (SELECT month, count(*) FILTER (severity = 'blocking' AND NOT is_waived) AS blocking_count,
                   count(*) FILTER (severity = 'blocking' AND is_waived) AS waived_count,
                   count(*) FILTER (severity = 'warning') AS warning_count FROM issues GROUP BY month)
SELECT n.month, f.version IS NOT NULL AS is_frozen, f.version AS frozen_version, f.digest AS frozen_digest,
    coalesce(c.row_count, 0) AS row_count, coalesce(j.blocking_count, 0) AS blocking_count, coalesce(j.waived_count, 0) AS waived_count,
    coalesce(j.warning_count, 0) AS warning_count, t.totals
FROM named n LEFT JOIN newest f USING (month) LEFT JOIN counted c USING (month) LEFT JOIN judged j USING (month) LEFT JOIN out_totals t USING (month)
ORDER BY n.month;

-- --- for analysts: the ledger

CREATE OR REPLACE VIEW allocations AS
SELECT a.allocation_id, a.version, a.account, a.asset, make_timestamp(a.allocated_at) AS allocated_at, almaty_date(a.allocated_at) AS allocation_date,
    a.amount, printed(a.amount, s.decimals) AS amount_printed, a.commission_asset, a.commission_amount,
    printed(a.commission_amount, c.decimals) AS commission_amount_printed, a.commission_currency, a.commission_currency_amount
FROM core_allocation a LEFT JOIN out_asset s ON s.asset = a.asset LEFT JOIN out_asset c ON c.asset = a.commission_asset;

CREATE OR REPLACE VIEW payments AS
SELECT p.payment_id, p.version, p.account, p.asset, p.address, p.amount, printed(p.amount, s.decimals) AS amount_printed, p.txid,
    make_timestamp(p.paid_at) AS paid_at, almaty_date(p.paid_at) AS payment_date,
    EXISTS (SELECT 1 FROM core_transaction t WHERE t.txid = p.txid) AS is_on_chain, p.payer
FROM core_payment p LEFT JOIN out_asset s ON s.asset = p.asset;

CREATE OR REPLACE VIEW openings AS
SELECT o.account, o.asset, o.version, o.amount, printed(o.amount, s.decimals) AS amount_printed, make_timestamp(o.owed_at) AS owed_at
FROM core_opening o LEFT JOIN out_asset s ON s.asset = o.asset;

CREATE OR REPLACE VIEW restatements AS
SELECT 'allocation' AS kind, a.allocation_id AS id, a.version, a.amount, o.amount AS amount_before
FROM raw_allocation a LEFT JOIN raw_allocation o ON o.allocation_id = a.allocation_id AND o.version = a.version - 1 WHERE a.version > 1
UNION ALL
SELECT 'payment', p.payment_id, p.version, p.amount, o.amount
FROM raw_payment p LEFT JOIN raw_payment o ON o.payment_id = p.payment_id AND o.version = p.version - 1 WHERE p.version > 1;

-- --- for analysts: the registry

CREATE OR REPLACE VIEW miners AS SELECT miner_id, name FROM core_miner;
CREATE OR REPLACE VIEW licences AS
SELECT l.miner_id, m.name AS miner_name, l.licence_number, l.issue_date, l.valid_from, l.valid_to, l.suspended_from, l.suspended_to
FROM core_licence l LEFT JOIN core_miner m USING (miner_id);
CREATE OR REPLACE VIEW accounts AS
SELECT a.account, a.miner_id, m.name AS miner_name, a.valid_from, a.valid_to FROM core_account a LEFT JOIN core_miner m USING (miner_id);
CREATE OR REPLACE VIEW wallets AS
SELECT w.address, w.chain, w.miner_id, m.name AS miner_name, w.valid_from, w.valid_to FROM core_wallet w LEFT JOIN core_miner m USING (miner_id);
CREATE OR REPLACE VIEW counterparties AS
SELECT chain, address, outflow_class, name, labelled_by, reason, labelled_at FROM core_label;

-- --- for analysts: the chain

CREATE OR REPLACE VIEW blocks AS
SELECT chain, height, hash, prev, make_timestamp(time * 1000000) AS block_at, almaty_date(time * 1000000) AS date,
    make_timestamp(mediantime * 1000000) AS mediantime_at, is_main
FROM raw_block;
CREATE OR REPLACE VIEW transactions AS
SELECT t.chain, t.txid, b.height, t.block_hash, t.position, make_timestamp(b.time * 1000000) AS block_at, almaty_date(b.time * 1000000) AS date,
    t.is_coinbase, t.other_inputs, t.other_inputs_value, t.fee, printed(t.fee, s.decimals) AS fee_printed, t.fee_asset, t.fee_wallet
FROM raw_transaction t JOIN core_block b ON b.chain = t.chain AND b.hash = t.block_hash LEFT JOIN out_asset s ON s.asset = t.fee_asset;
CREATE OR REPLACE VIEW inputs AS
SELECT i.chain, i.txid, i.spent_txid, i.spent_vout, i.wallet, i.address, i.asset, i.value, printed(i.value, s.decimals) AS value_printed, i.block_hash, i.held, i.held_after, i.signed_by
FROM core_input i LEFT JOIN out_asset s ON s.asset = i.asset;
CREATE OR REPLACE VIEW outputs AS
SELECT o.chain, o.txid, o.vout, o.wallet, o.address, o.asset, o.value, printed(o.value, s.decimals) AS value_printed,
    o.script_type, o.is_unspendable, o.ref, o.block_hash
FROM core_output o LEFT JOIN out_asset s ON s.asset = o.asset;
CREATE OR REPLACE VIEW chains AS
SELECT t.chain, w.network, t.height, t.hash, make_timestamp(b.time * 1000000) AS block_at, make_timestamp(b.mediantime * 1000000) AS mediantime_at, t.seq,
    w.internal_calls
FROM raw_chain_tip t LEFT JOIN raw_block b ON b.chain = t.chain AND b.hash = t.hash LEFT JOIN core_watch w ON w.chain = t.chain;
CREATE OR REPLACE VIEW observed_balances AS
SELECT o.chain, o.height, o.block_hash, o.wallet, o.address, o.asset, o.value, printed(o.value, s.decimals) AS value_printed
FROM raw_balance o LEFT JOIN out_asset s ON s.asset = o.asset
QUALIFY row_number() OVER (PARTITION BY o.chain, o.block_hash, o.wallet, o.address, o.asset ORDER BY o.seq DESC) = 1;
CREATE OR REPLACE VIEW doubts AS
SELECT chain, height, hash, make_timestamp(time * 1000000) AS block_at, almaty_date(time * 1000000) AS date, detail, txid FROM raw_doubt;
CREATE OR REPLACE VIEW witnesses AS
SELECT chain, height AS first_height, last AS last_height, len(nodes) AS n_nodes, nodes, reason, is_main FROM raw_witness;
CREATE OR REPLACE VIEW disagreements AS
SELECT chain, height, hash, make_timestamp(time * 1000000) AS block_at, almaty_date(time * 1000000) AS date, nodes, answers, is_main FROM raw_disagreement;
CREATE OR REPLACE VIEW pool_wallets AS SELECT chain, wallet FROM core_pool_wallet;

-- --- for analysts: the log

CREATE OR REPLACE VIEW log_positions AS SELECT place, next_offset FROM raw_position;
CREATE OR REPLACE VIEW bad_events AS SELECT place || '@' || log_offset AS position, key, error, coalesce(code, 'unreadable-event') AS code FROM raw_bad_event;
