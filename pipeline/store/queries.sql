-- The statements that the program reads the store with. Above each: its name and a sentence.

-- newest_events: the newest event of each topic and key.
SELECT topic || '/' || key, arg_max(id, log_offset) FROM raw_event GROUP BY ALL ORDER BY ALL;

-- last_read: the last event of each topic that was read.
SELECT topic, max(log_offset), arg_max(key, log_offset), arg_max(id, log_offset), arg_max(digest, log_offset) FROM raw_event GROUP BY topic ORDER BY topic;

-- known_blocks_among_few: blocks with one of a few hashes, of any chain.
SELECT * EXCLUDE (header) FROM raw_block WHERE hash IN (SELECT unnest($hashes));

-- write_positions: how far each place is read now. There are few; as a table they would cost a millisecond more.
INSERT INTO raw_position SELECT unnest($places), unnest($offsets);

-- write_tips: where each chain's events stand now.
INSERT INTO raw_chain_tip SELECT unnest($chains), unnest($seqs), unnest($hashes), unnest($heights);

-- facts_at: positions of the topics that facts come from, and how many labels there are: as long as they stay the same, so do the facts (law 4).
SELECT place, next_offset FROM raw_position WHERE place NOT LIKE 'months/%' UNION ALL SELECT 'labels', count(*) FROM raw_label ORDER BY ALL;

-- facts_there: the frames of the facts whose tables have a row: each of the others is empty, and its statement need not be planned.
(SELECT 'pool_wallets' FROM raw_watch LIMIT 1) UNION ALL
(SELECT 'blocks' FROM raw_block LIMIT 1) UNION ALL
(SELECT 'transactions' FROM raw_transaction LIMIT 1) UNION ALL
(SELECT 'inputs' FROM raw_input LIMIT 1) UNION ALL
(SELECT 'outputs' FROM raw_output LIMIT 1) UNION ALL
(SELECT 'observations' FROM raw_balance LIMIT 1) UNION ALL
(SELECT 'proved_balances' FROM raw_account_proof LIMIT 1) UNION ALL
(SELECT 'doubts' FROM raw_doubt LIMIT 1) UNION ALL
(SELECT 'witnesses' FROM raw_witness LIMIT 1) UNION ALL
(SELECT 'disagreements' FROM raw_disagreement LIMIT 1) UNION ALL
(SELECT 'allocations' FROM raw_allocation LIMIT 1) UNION ALL
(SELECT 'payments' FROM raw_payment LIMIT 1) UNION ALL
(SELECT 'payees' FROM raw_watch WHERE len(payees) > 0 LIMIT 1) UNION ALL
(SELECT 'sought' FROM raw_sought LIMIT 1) UNION ALL
(SELECT 'openings' FROM raw_opening LIMIT 1) UNION ALL
(SELECT 'source_items' FROM raw_source_item LIMIT 1) UNION ALL
(SELECT 'miners' FROM raw_miner LIMIT 1) UNION ALL
(SELECT 'licences' FROM raw_licence LIMIT 1) UNION ALL
(SELECT 'accounts' FROM raw_account LIMIT 1) UNION ALL
(SELECT 'wallets' FROM raw_wallet LIMIT 1) UNION ALL
(SELECT 'labels' FROM raw_counterparty LIMIT 1) UNION ALL
(SELECT 'labels' FROM raw_label LIMIT 1);

-- facts.pool_wallets: every wallet that the newest watch list of each chain names.
SELECT chain, wallet FROM core_pool_wallet ORDER BY chain, wallet;

-- facts.blocks: the main chain.
SELECT chain, hash, height, time, mediantime FROM core_block ORDER BY chain, height;

-- facts.transactions: those of the main chain.
SELECT t.chain, t.block_hash, t.txid, t.position, t.is_coinbase, t.other_inputs, t.other_inputs_value, t.fee, t.fee_asset, t.fee_wallet
FROM raw_transaction t JOIN core_block b ON b.chain = t.chain AND b.hash = t.block_hash
ORDER BY t.chain, b.height, t.position, t.txid;

-- facts.inputs: the pool's inputs of the main chain's transactions.
SELECT i.chain, i.block_hash, i.txid, i.spent_txid, i.spent_vout, i.value, i.address, i.wallet, i.asset, i.held, i.held_after, i.signed_by
FROM raw_input i JOIN core_block b ON b.chain = i.chain AND b.hash = i.block_hash
ORDER BY i.chain, b.height, i.txid, i.spent_txid, i.spent_vout, i.asset;

-- facts.outputs: all outputs of the main chain's transactions.
SELECT o.chain, o.block_hash, o.txid, o.vout, o.value, o.address, o.wallet, o.asset, o.script_type, o.is_unspendable
FROM raw_output o JOIN core_block b ON b.chain = o.chain AND b.hash = o.block_hash
ORDER BY o.chain, b.height, o.txid, o.vout;

-- facts.observations: what addresses held after blocks of the main chain, and after the one below the first that was read.
WITH told AS (
    SELECT * FROM raw_balance QUALIFY row_number() OVER (PARTITION BY chain, block_hash, wallet, address, asset ORDER BY seq DESC) = 1)
SELECT o.chain, o.height, o.block_hash, o.wallet, o.address, o.asset, o.value FROM told o
WHERE EXISTS (SELECT 1 FROM core_block b WHERE b.chain = o.chain AND (b.hash = o.block_hash OR b.prev = o.block_hash))
ORDER BY o.chain, o.height, o.wallet, o.address, o.asset;

-- facts.proved_balances: what addresses held after blocks, with a proof under the block's state root.
WITH told AS (
    SELECT * FROM raw_account_proof QUALIFY row_number() OVER (PARTITION BY chain, block_hash, wallet, address, asset ORDER BY seq DESC) = 1)
SELECT o.chain, o.height, o.block_hash, o.wallet, o.address, o.asset, o.value FROM told o
WHERE EXISTS (SELECT 1 FROM core_block b WHERE b.chain = o.chain AND (b.hash = o.block_hash OR b.prev = o.block_hash))
ORDER BY o.chain, o.height, o.wallet, o.address, o.asset;

-- facts.doubts: blocks that were told differently when they were read again, and transactions whose internal calls two witnesses tell differently.
SELECT chain, height, hash, time, detail, txid FROM raw_doubt ORDER BY chain, seq;

-- facts.witnesses: how many nodes said the same of the main chain's final blocks (ADR 20).
SELECT chain, seq, height, last, len(nodes) AS n_nodes, array_to_string(nodes, ' ') AS nodes, reason FROM raw_witness WHERE is_main ORDER BY chain, seq;

-- facts.disagreements: blocks of the main chain of which two nodes said different things (ADR 20).
SELECT chain, seq, height, hash, time, nodes, answers FROM raw_disagreement WHERE is_main ORDER BY chain, seq;

-- facts.allocations: the version in force of each.
SELECT allocation_id, account, asset, allocated_at, amount, commission_asset, commission_amount, commission_currency, commission_currency_amount
FROM core_allocation ORDER BY allocated_at, allocation_id;

-- allocation_assets: what allocations, and those that openings become, are in, by their ids.
WITH named AS (SELECT unnest($ids::VARCHAR[]) AS allocation_id)
SELECT allocation_id, asset, commission_asset FROM core_allocation SEMI JOIN named USING (allocation_id) UNION ALL
SELECT allocation_id, asset, NULL FROM (SELECT 'opening:' || account || ':' || asset AS allocation_id, asset FROM core_opening) SEMI JOIN named USING (allocation_id);

-- facts.payments: the version in force of each.
SELECT payment_id, account, asset, address, amount, txid, paid_at, payer FROM core_payment ORDER BY paid_at, payment_id;

-- facts.payees: addresses that the newest watch list of each chain follows besides the pool's (rule 10.8).
SELECT chain, unnest(payees) AS address FROM core_watch ORDER BY ALL;

-- facts.sought: transactions that payments of on-chain payers name, and that were looked for in the whole main chain (rule 10.8); not those whose calls could not be traced since.
SELECT chain, txid FROM raw_sought GROUP BY ALL HAVING arg_max(coalesce(is_sought, true), seq) ORDER BY ALL;

-- facts.openings: the version in force of each.
SELECT account, asset, amount, owed_at FROM core_opening ORDER BY account, asset;

-- facts.source_items: what waits at the ledger's sources.
SELECT source, item, code, date, detail FROM core_source_item ORDER BY source, item;

-- facts.miners: the newest complete registry.
SELECT miner_id, name FROM core_miner ORDER BY ALL;

-- facts.licences: the newest complete registry.
SELECT miner_id, licence_number, issue_date, valid_from, valid_to, suspended_from, suspended_to FROM core_licence ORDER BY ALL;

-- facts.accounts: the newest complete registry.
SELECT account, miner_id, valid_from, valid_to FROM core_account ORDER BY ALL;

-- facts.wallets: the newest complete registry.
SELECT address, chain, miner_id, valid_from, valid_to FROM core_wallet ORDER BY ALL;

-- facts.labels: counterparties, overridden by the newest label of each address.
SELECT chain, address, outflow_class FROM core_label ORDER BY ALL;

-- waivers: the waivers of a month, oldest first.
SELECT event_id, month, code, ref, "by", reason, "at", facts FROM raw_waiver WHERE month = $month ORDER BY log_offset;

-- labels: every label given, oldest first.
SELECT event_id, chain, address, outflow_class, name, "by", reason, "at" FROM raw_label ORDER BY log_offset;

-- documents: every document named, oldest first.
SELECT event_id, about, month, ref, name, digest, size, "by", reason, "at" FROM raw_document ORDER BY log_offset;

-- wallet_signatures: every message signed by a key of the pool's, oldest first.
SELECT event_id, chain, address, message, signature, "by", "at" FROM raw_wallet_signature ORDER BY log_offset;

-- sources: how far each source of the ledger was read: first and last look, the source's newest row, rows that are there, open items, complete through.
WITH look AS (SELECT source, min(first_at) AS first_at, max(last_at) AS last_at, max(newest) AS newest FROM raw_source_look GROUP BY source),
held AS (
    SELECT source, count(*) FILTER (content IS NOT NULL) AS there FROM (
        SELECT source, content FROM raw_source_row QUALIFY row_number() OVER (PARTITION BY source, source_table, row_id ORDER BY version DESC) = 1)
    GROUP BY source)
SELECT l.source, l.first_at, l.last_at, l.newest, coalesce(h.there, 0),
    (SELECT count(*) FROM core_source_item i WHERE i.source = l.source), (SELECT max(through) FROM raw_source_complete c WHERE c.source = l.source)
FROM look l LEFT JOIN held h USING (source) ORDER BY l.source;

-- source_items: what waits at the ledger's sources, by day.
SELECT source, item, code, date, detail FROM core_source_item ORDER BY date, source, item;

-- source_sums: the accounts of each source whose balance differed from its rows at the last look: its name, and both numbers as JSON.
SELECT source, row_id, content FROM (SELECT * FROM raw_source_row WHERE source_table = 'sums' QUALIFY row_number() OVER (PARTITION BY source, row_id ORDER BY version DESC) = 1)
WHERE content IS NOT NULL ORDER BY source, row_id;

-- complete_through: the last day that the ledger declared complete.
SELECT max(through) FROM raw_complete;

-- frozen_versions: the frozen versions of a month, in their order.
SELECT event FROM raw_frozen WHERE month = $month ORDER BY version, log_offset;

-- frozen_months: every month of which a version is frozen.
SELECT DISTINCT month FROM raw_frozen ORDER BY month;

-- first_fact_at: the instant, Unix seconds, of the first fact in force of any kind. A chain's genesis block has a date of its own that says of no month that it was followed.
SELECT min(first_at) FROM (
    SELECT min(time) AS first_at FROM core_block WHERE height > 0
    UNION ALL SELECT min(allocated_at) // 1000000 FROM core_allocation
    UNION ALL SELECT min(paid_at) // 1000000 FROM core_payment
    UNION ALL SELECT min(owed_at) // 1000000 FROM core_opening);

-- has_facts: whether a block, an allocation or a payment in force has an instant from `start_at` on and before `end_at`, Unix seconds.
SELECT EXISTS (SELECT 1 FROM core_block WHERE height > 0 AND time >= $start_at AND time < $end_at)
    OR EXISTS (SELECT 1 FROM core_allocation WHERE allocated_at >= $start_at::BIGINT * 1000000 AND allocated_at < $end_at::BIGINT * 1000000)
    OR EXISTS (SELECT 1 FROM core_payment WHERE paid_at >= $start_at::BIGINT * 1000000 AND paid_at < $end_at::BIGINT * 1000000);

-- key_of_another_pool: the pool whose events the store has read, where it has none of `pool`: an event's key begins with its pool's, and one event tells.
SELECT split_part(key, '/', 1) AS other FROM raw_event
WHERE (SELECT count(*) FROM (SELECT 1 FROM raw_event WHERE split_part(key, '/', 1) = $pool LIMIT 1)) = 0 LIMIT 1;

-- chain_tips: the newest event and block of each chain; network is that of the newest watch list.
SELECT t.chain, w.network, t.seq, t.height, t.hash, b.time, b.mediantime
FROM raw_chain_tip t LEFT JOIN raw_block b ON b.chain = t.chain AND b.hash = t.hash LEFT JOIN core_watch w ON w.chain = t.chain
ORDER BY t.chain;

-- internal_calls: how calls inside transactions were seen on each chain, every way that its watch lists name, in their order.
SELECT chain, string_agg(internal_calls, ', ' ORDER BY first_seq)
FROM (SELECT chain, internal_calls, min(seq) AS first_seq FROM raw_watch WHERE internal_calls IS NOT NULL GROUP BY chain, internal_calls)
GROUP BY chain ORDER BY chain;

-- authorizations_from: from which block on authorizations of code are told on each chain, by its newest watch list; chains of which that says nothing are absent.
SELECT w.chain, w.authorizations_from FROM core_watch w WHERE w.authorizations_from IS NOT NULL ORDER BY w.chain;

-- watched_wallets: the wallets of each chain's newest watch list, as JSON.
SELECT chain, wallets FROM core_watch ORDER BY chain;

-- block_at: the main chain's block of a height.
SELECT chain, height, hash, prev, time, mediantime, header FROM core_block WHERE chain = $chain AND height = $height;

-- headers_between: the headers of the main chain's blocks of heights, ends included, where the log has them.
SELECT chain, height, hash, mediantime, header FROM core_block
WHERE chain = $chain AND height BETWEEN $first AND $last AND header IS NOT NULL ORDER BY height;

-- proofs: transactions of the main chain by their ids, with what proves them.
SELECT t.txid, t.block_hash, b.height, t.position, t.raw, t.branch, t.receipt, t.transaction_proof, t.receipt_proof
FROM raw_transaction t JOIN core_block b ON b.chain = t.chain AND b.hash = t.block_hash
WHERE t.chain = $chain AND t.txid IN (SELECT unnest($txids::VARCHAR[])) ORDER BY b.height, t.position;

-- account_proofs: what proves the accounts' balances from a height on, in the chain's order.
WITH told AS (
    SELECT * FROM raw_account_proof QUALIFY row_number() OVER (PARTITION BY chain, block_hash, wallet, address, asset ORDER BY seq DESC) = 1)
SELECT o.height, o.block_hash, o.address, o.proof, o.header FROM told o
WHERE o.chain = $chain AND EXISTS (SELECT 1 FROM core_block b WHERE b.chain = o.chain AND (b.hash = o.block_hash OR b.prev = o.block_hash))
ORDER BY o.height, o.address;

-- streams: what is known of each stream (topic and key) where a root key is in force.
SELECT topic, key, state FROM raw_stream ORDER BY topic, key;

-- signed: what proves people's decisions, and what the root key said, in the log's order.
SELECT topic, key, id, type, value, signature FROM raw_signed ORDER BY topic, key, log_offset;

-- bad_events: events that can't be read, or that are not authentic, by their places.
SELECT place, log_offset, error, code FROM raw_bad_event ORDER BY place, log_offset;

-- registry: the registry in force.
SELECT version, digest FROM core_registry;

-- checkpoint: what the month or an earlier one begins with, the newest first.
SELECT month, rests_on, starts_at, observed, allocations, credits, heights, coins, wallets, transactions, payments, payers
FROM out_checkpoint WHERE month <= $month AND rules = $rules ORDER BY month DESC LIMIT 1;

-- keep_checkpoint: keeps what a month begins with.
INSERT INTO out_checkpoint BY NAME SELECT $month AS month, $rules AS rules, $since_us AS since_us, $rests_on AS rests_on, $starts_at AS starts_at,
    $observed::VARCHAR[] AS observed, $allocations AS allocations, $credits AS credits, $heights AS heights, $coins AS coins, $wallets AS wallets,
    $transactions AS transactions, $payments AS payments, $payers AS payers;

-- old_checkpoints: forgets all but the newest.
DELETE FROM out_checkpoint WHERE rowid NOT IN (SELECT rowid FROM out_checkpoint ORDER BY rowid DESC LIMIT $kept);

-- touched.allocations: the earliest instant of any version of the allocations named.
SELECT min(a.allocated_at) FROM raw_allocation a SEMI JOIN touched n ON n.key = a.allocation_id;

-- touched.payments: the earliest instant of any payment or transaction that shares a txid or a reference with the payments named, whatever the version.
WITH named AS (SELECT DISTINCT p.txid FROM raw_payment p SEMI JOIN touched n ON n.key = p.payment_id)
SELECT min(p.paid_at) FROM raw_payment p SEMI JOIN named n ON n.txid = p.txid
UNION ALL
SELECT min(b.time) * 1000000 FROM raw_transaction t SEMI JOIN named n ON n.txid = t.txid JOIN raw_block b ON b.chain = t.chain AND b.hash = t.block_hash;

-- touched.txids: the earliest instant of payments that name these transactions.
SELECT min(p.paid_at) FROM raw_payment p SEMI JOIN touched n ON n.key = p.txid;

-- touched.blocks: the earliest time of these blocks and of those before them, and of payments that name their transactions.
WITH named AS (SELECT b.* FROM raw_block b SEMI JOIN touched n ON n.key = b.hash)
SELECT min(b.time) * 1000000 FROM raw_block b WHERE b.hash IN (SELECT hash FROM named UNION ALL SELECT prev FROM named)
UNION ALL
SELECT min(p.paid_at) FROM raw_payment p
WHERE p.txid IN (SELECT t.txid FROM raw_transaction t SEMI JOIN named n ON n.chain = t.chain AND n.hash = t.block_hash);

-- touched.labels: the earliest time of a block that pays one of these addresses.
SELECT min(b.time) * 1000000 FROM raw_output o SEMI JOIN touched n ON n.key = o.address JOIN raw_block b ON b.chain = o.chain AND b.hash = o.block_hash;

-- touched.since: the earliest payment or transaction that shares a txid or a reference with a payment from an instant on.
WITH named AS (SELECT DISTINCT txid FROM raw_payment WHERE paid_at >= $instant)
SELECT min(p.paid_at) FROM raw_payment p SEMI JOIN named n ON n.txid = p.txid
UNION ALL
SELECT min(b.time) * 1000000 FROM raw_transaction t SEMI JOIN named n ON n.txid = t.txid JOIN raw_block b ON b.chain = t.chain AND b.hash = t.block_hash;

-- since.blocks: the main chain from the heights that a checkpoint covers on, and the blocks of the transactions that it names.
SELECT b.chain, b.hash, b.height, b.time, b.mediantime FROM core_block b LEFT JOIN cut_height h ON h.chain = b.chain
WHERE h.height IS NULL OR b.height >= h.height
    OR b.hash IN (SELECT t.block_hash FROM raw_transaction t SEMI JOIN cut_transaction n ON n.chain = t.chain AND n.txid = t.txid)
ORDER BY b.chain, b.height;

-- since.transactions: those of the main chain above the heights covered, and those named.
WITH late AS (SELECT b.* FROM core_block b LEFT JOIN cut_height h ON h.chain = b.chain WHERE h.height IS NULL OR b.height > h.height),
    covered AS (SELECT b.* FROM core_block b JOIN cut_height h ON h.chain = b.chain WHERE b.height <= h.height)
SELECT * EXCLUDE (at_height) FROM (
    SELECT t.chain, t.block_hash, t.txid, t.position, t.is_coinbase, t.other_inputs, t.other_inputs_value, t.fee, t.fee_asset, t.fee_wallet, b.height AS at_height FROM raw_transaction t JOIN late b ON b.chain = t.chain AND b.hash = t.block_hash
    UNION ALL
    SELECT t.chain, t.block_hash, t.txid, t.position, t.is_coinbase, t.other_inputs, t.other_inputs_value, t.fee, t.fee_asset, t.fee_wallet, b.height FROM raw_transaction t SEMI JOIN cut_transaction n ON n.chain = t.chain AND n.txid = t.txid JOIN covered b ON b.chain = t.chain AND b.hash = t.block_hash)
ORDER BY chain, at_height, position, txid;

-- since.inputs: the same transactions' inputs.
WITH late AS (SELECT b.* FROM core_block b LEFT JOIN cut_height h ON h.chain = b.chain WHERE h.height IS NULL OR b.height > h.height),
    covered AS (SELECT b.* FROM core_block b JOIN cut_height h ON h.chain = b.chain WHERE b.height <= h.height)
SELECT * EXCLUDE (at_height) FROM (
    SELECT t.chain, t.block_hash, t.txid, t.spent_txid, t.spent_vout, t.value, t.address, t.wallet, t.asset, t.held, t.held_after, t.signed_by, b.height AS at_height FROM raw_input t JOIN late b ON b.chain = t.chain AND b.hash = t.block_hash
    UNION ALL
    SELECT t.chain, t.block_hash, t.txid, t.spent_txid, t.spent_vout, t.value, t.address, t.wallet, t.asset, t.held, t.held_after, t.signed_by, b.height FROM raw_input t SEMI JOIN cut_transaction n ON n.chain = t.chain AND n.txid = t.txid JOIN covered b ON b.chain = t.chain AND b.hash = t.block_hash)
ORDER BY chain, at_height, txid, spent_txid, spent_vout, asset;

-- since.outputs: the same transactions' outputs.
WITH late AS (SELECT b.* FROM core_block b LEFT JOIN cut_height h ON h.chain = b.chain WHERE h.height IS NULL OR b.height > h.height),
    covered AS (SELECT b.* FROM core_block b JOIN cut_height h ON h.chain = b.chain WHERE b.height <= h.height)
SELECT * EXCLUDE (at_height) FROM (
    SELECT t.chain, t.block_hash, t.txid, t.vout, t.value, t.address, t.wallet, t.asset, t.script_type, t.is_unspendable, b.height AS at_height FROM raw_output t JOIN late b ON b.chain = t.chain AND b.hash = t.block_hash
    UNION ALL
    SELECT t.chain, t.block_hash, t.txid, t.vout, t.value, t.address, t.wallet, t.asset, t.script_type, t.is_unspendable, b.height FROM raw_output t SEMI JOIN cut_transaction n ON n.chain = t.chain AND n.txid = t.txid JOIN covered b ON b.chain = t.chain AND b.hash = t.block_hash)
ORDER BY chain, at_height, txid, vout;

-- since.observations: what addresses held after blocks from the heights covered on.
WITH told AS (
    SELECT o.* FROM raw_balance o LEFT JOIN cut_height h ON h.chain = o.chain WHERE h.height IS NULL OR o.height >= h.height
    QUALIFY row_number() OVER (PARTITION BY o.chain, block_hash, wallet, address, asset ORDER BY seq DESC) = 1)
SELECT o.chain, o.height, o.block_hash, o.wallet, o.address, o.asset, o.value FROM told o
WHERE EXISTS (SELECT 1 FROM core_block b WHERE b.chain = o.chain AND (b.hash = o.block_hash OR b.prev = o.block_hash))
ORDER BY o.chain, o.height, o.wallet, o.address, o.asset;

-- since.proved_balances: the same with a proof under the block's state root.
WITH told AS (
    SELECT o.* FROM raw_account_proof o LEFT JOIN cut_height h ON h.chain = o.chain WHERE h.height IS NULL OR o.height >= h.height
    QUALIFY row_number() OVER (PARTITION BY o.chain, block_hash, wallet, address, asset ORDER BY seq DESC) = 1)
SELECT o.chain, o.height, o.block_hash, o.wallet, o.address, o.asset, o.value FROM told o
WHERE EXISTS (SELECT 1 FROM core_block b WHERE b.chain = o.chain AND (b.hash = o.block_hash OR b.prev = o.block_hash))
ORDER BY o.chain, o.height, o.wallet, o.address, o.asset;

-- since.doubts: those of blocks from the heights covered on.
SELECT d.chain, d.height, d.hash, d.time, d.detail, d.txid FROM raw_doubt d LEFT JOIN cut_height h ON h.chain = d.chain
WHERE h.height IS NULL OR d.height >= h.height ORDER BY d.chain, d.seq;

-- since.witnesses: ranges that reach up to the heights covered, or beyond.
SELECT w.chain, w.seq, w.height, w.last, len(w.nodes) AS n_nodes, array_to_string(w.nodes, ' ') AS nodes, w.reason
FROM raw_witness w LEFT JOIN cut_height h ON h.chain = w.chain
WHERE w.is_main AND (h.height IS NULL OR w.last >= h.height) ORDER BY w.chain, w.seq;

-- since.disagreements: those of blocks from the heights covered on.
SELECT d.chain, d.seq, d.height, d.hash, d.time, d.nodes, d.answers FROM raw_disagreement d LEFT JOIN cut_height h ON h.chain = d.chain
WHERE d.is_main AND (h.height IS NULL OR d.height >= h.height) ORDER BY d.chain, d.seq;

-- since.allocations: the version in force of each from an instant up to another.
SELECT allocation_id, account, asset, allocated_at, amount, commission_asset, commission_amount, commission_currency, commission_currency_amount
FROM core_allocation WHERE allocated_at >= $since AND allocated_at < $until ORDER BY allocated_at, allocation_id;

-- since.payments: the version in force of each from an instant on, and those named.
SELECT payment_id, account, asset, address, amount, txid, paid_at, payer FROM core_payment
WHERE paid_at >= $since OR payment_id IN (SELECT payment_id FROM cut_payment) ORDER BY paid_at, payment_id;
