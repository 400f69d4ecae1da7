-- What goes into a month's own file, table by table: its results, and of the facts those that they rest on.
-- $begins_s and $ends_s: the month's first instant and the next one's, Unix seconds; _us: microseconds. The day of each block is not worked out: that took longer than all else.
-- Miners and counterparties that the month does not name stay out: the file may go to people who need not know them.

-- table: out_report: the month's.
SELECT * FROM out_report WHERE month = $month ORDER BY n;

-- table: out_outflow: the month's.
SELECT * FROM out_outflow WHERE month = $month ORDER BY ALL;

-- table: out_transfer: those dated in the month, and the earlier ones that its rows name.
SELECT * FROM out_transfer t
WHERE month = $month OR EXISTS (SELECT 1 FROM out_report r WHERE r.month = $month AND r.txid = t.txid AND r.wallet = t.address)
ORDER BY ALL;

-- table: out_balance: the month's.
SELECT * FROM out_balance WHERE month = $month ORDER BY ALL;

-- table: out_issue: the month's.
SELECT * FROM out_issue WHERE month = $month ORDER BY ALL;

-- table: out_totals: the month's.
SELECT * FROM out_totals WHERE month = $month;

-- table: out_asset: all, to print amounts.
SELECT * FROM out_asset ORDER BY asset;

-- table: raw_allocation: every version of those that the report names.
SELECT * FROM raw_allocation a WHERE a.allocation_id IN (SELECT r.allocation_id FROM out_report r WHERE r.month = $month) ORDER BY allocation_id, version;

-- table: raw_opening: those that the report names.
SELECT * FROM raw_opening o
WHERE 'opening:' || o.account || ':' || o.asset IN (SELECT r.allocation_id FROM out_report r WHERE r.month = $month) ORDER BY account, asset, version;

-- table: raw_payment: every version of those paid in the month, or whose transaction the month's transfers or rows name.
SELECT * FROM raw_payment p
WHERE (p.paid_at >= $begins_us AND p.paid_at < $ends_us)
   OR p.txid IN (SELECT t.txid FROM out_transfer t WHERE t.month = $month UNION SELECT r.txid FROM out_report r WHERE r.month = $month)
ORDER BY payment_id, version;

-- table: raw_complete: all.
SELECT * FROM raw_complete ORDER BY through;

-- table: raw_source_item: those of the month.
SELECT * FROM raw_source_item WHERE strftime(date, '%Y-%m') = $month ORDER BY source, item, version;

-- table: raw_source_complete: all.
SELECT * FROM raw_source_complete ORDER BY source, through;

-- table: raw_source_decision: all.
SELECT * FROM raw_source_decision ORDER BY log_offset;

-- table: raw_transaction: of the main chain, those that the month's outflows or rows name.
SELECT t.* FROM raw_transaction t SEMI JOIN core_block b ON b.chain = t.chain AND b.hash = t.block_hash
WHERE t.txid IN (SELECT o.txid FROM out_outflow o WHERE o.month = $month UNION SELECT r.txid FROM out_report r WHERE r.month = $month)
ORDER BY chain, block_hash, position;

-- table: raw_input: of those transactions.
SELECT i.* FROM raw_input i SEMI JOIN core_block b ON b.chain = i.chain AND b.hash = i.block_hash
WHERE i.txid IN (SELECT o.txid FROM out_outflow o WHERE o.month = $month UNION SELECT r.txid FROM out_report r WHERE r.month = $month)
ORDER BY chain, block_hash, txid, spent_txid, spent_vout, asset;

-- table: raw_output: of those transactions.
SELECT o.* FROM raw_output o SEMI JOIN core_block b ON b.chain = o.chain AND b.hash = o.block_hash
WHERE o.txid IN (SELECT f.txid FROM out_outflow f WHERE f.month = $month UNION SELECT r.txid FROM out_report r WHERE r.month = $month)
ORDER BY chain, block_hash, txid, vout;

-- table: raw_block: of the main chain, the month's own blocks and those of the transactions above.
SELECT b.* FROM raw_block b
WHERE b.is_main AND ((b.time >= $begins_s AND b.time < $ends_s) OR b.hash IN (
    SELECT t.block_hash FROM core_transaction t
    WHERE t.txid IN (SELECT o.txid FROM out_outflow o WHERE o.month = $month UNION SELECT r.txid FROM out_report r WHERE r.month = $month)))
ORDER BY chain, height;

-- table: raw_chain_tip: all: up to where the chain was read.
SELECT * FROM raw_chain_tip ORDER BY chain;

-- table: raw_watch: the newest of each chain, without descriptors: they reveal addresses to come, and this file lies in the bundle.
SELECT * REPLACE (to_json(list_transform(from_json(wallets, '["JSON"]'), lambda w: json_object('name', w -> 'name', 'addresses', w -> 'addresses'))) AS wallets)
FROM core_watch ORDER BY chain;

-- table: raw_balance: those after the month's blocks, and those before its first block.
SELECT o.* FROM raw_balance o
WHERE EXISTS (SELECT 1 FROM core_block b WHERE b.chain = o.chain AND b.time >= $begins_s AND b.time < $ends_s
              AND (b.hash = o.block_hash OR b.prev = o.block_hash))
ORDER BY chain, height, seq, wallet, address, asset;

-- table: raw_account_proof: those after the month's blocks, and those before its first block.
SELECT o.* FROM raw_account_proof o
WHERE EXISTS (SELECT 1 FROM core_block b WHERE b.chain = o.chain AND b.time >= $begins_s AND b.time < $ends_s
              AND (b.hash = o.block_hash OR b.prev = o.block_hash))
ORDER BY chain, height, seq, wallet, address, asset;

-- table: raw_doubt: those of the month's blocks.
SELECT * FROM raw_doubt d WHERE d.time >= $begins_s AND d.time < $ends_s ORDER BY chain, seq;

-- table: raw_witness: those of the month's blocks.
SELECT w.* FROM raw_witness w
WHERE EXISTS (SELECT 1 FROM core_block b WHERE b.chain = w.chain AND b.height BETWEEN w.height AND w.last
              AND b.time >= $begins_s AND b.time < $ends_s)
ORDER BY chain, seq;

-- table: raw_sought: those that payments made in the month name.
SELECT DISTINCT s.* FROM raw_sought s
WHERE s.txid IN (SELECT p.txid FROM raw_payment p WHERE p.paid_at >= $begins_us AND p.paid_at < $ends_us) ORDER BY chain, seq, txid;

-- table: raw_disagreement: those of the month's blocks.
SELECT * FROM raw_disagreement d WHERE d.time >= $begins_s AND d.time < $ends_s ORDER BY chain, seq;

-- table: raw_registry: the version in force, as one part.
SELECT version, digest, 0 AS part, 1 AS parts FROM core_registry;

-- table: raw_miner: those that the report names.
SELECT * FROM core_miner m WHERE m.miner_id IN (SELECT r.miner_id FROM out_report r WHERE r.month = $month) ORDER BY ALL;

-- table: raw_licence: of those miners.
SELECT * FROM core_licence l WHERE l.miner_id IN (SELECT r.miner_id FROM out_report r WHERE r.month = $month) ORDER BY ALL;

-- table: raw_account: of those miners.
SELECT * FROM core_account a WHERE a.miner_id IN (SELECT r.miner_id FROM out_report r WHERE r.month = $month) ORDER BY ALL;

-- table: raw_wallet: of those miners.
SELECT * FROM core_wallet w WHERE w.miner_id IN (SELECT r.miner_id FROM out_report r WHERE r.month = $month) ORDER BY ALL;

-- table: raw_counterparty: those that the month's outflows pay.
SELECT * FROM core_counterparty c WHERE c.address IN (SELECT o.address FROM out_outflow o WHERE o.month = $month) ORDER BY ALL;

-- table: raw_label: for addresses that the month's outflows pay.
SELECT * FROM raw_label l WHERE l.address IN (SELECT o.address FROM out_outflow o WHERE o.month = $month) ORDER BY log_offset;

-- table: raw_document: all.
SELECT * FROM raw_document ORDER BY log_offset;

-- table: raw_wallet_signature: all.
SELECT * FROM raw_wallet_signature ORDER BY log_offset;

-- table: raw_waiver: the month's.
SELECT * FROM raw_waiver WHERE month = $month ORDER BY log_offset;

-- table: raw_closing: the month's.
SELECT * FROM raw_closing WHERE month = $month ORDER BY log_offset;

-- table: raw_frozen: the month's versions.
SELECT * FROM raw_frozen WHERE month = $month ORDER BY version;

-- table: raw_position: how far the log was read.
SELECT * FROM raw_position ORDER BY place;
