-- The statements that one month's rows are read with, from a frozen month's `month.duckdb` or from a store that holds many months. Above each: its name and a sentence.

-- form.row: one row of the form.
SELECT * FROM out_report WHERE month = $month AND n = $n;

-- form.all: the form in its own order.
SELECT * EXCLUDE (month) FROM out_report WHERE month = $month ORDER BY n;

-- form.count: how many rows it has.
SELECT count(*) AS n_rows FROM out_report WHERE month = $month;

-- assets: decimals and chain of each asset.
SELECT asset, chain, decimals FROM out_asset ORDER BY asset;

-- totals: the month's separate totals (rule 7.4).
SELECT totals FROM out_totals WHERE month = $month;

-- positions: how far the log was read.
SELECT place, next_offset FROM raw_position ORDER BY place;

-- miners.of_rows: every miner of the form with what its rows come to, by asset.
SELECT miner_id, any_value(miner_name) AS miner_name, asset, count(*) AS n_rows,
    coalesce(sum(amount) FILTER (NOT is_carried), 0) AS allocated, coalesce(sum(amount) FILTER (txid IS NOT NULL), 0) AS settled,
    coalesce(sum(amount) FILTER (txid IS NULL), 0) AS unsettled
FROM out_report WHERE month = $month GROUP BY miner_id, asset ORDER BY miner_name, miner_id, asset;

-- payers: who paid, by asset; an empty name is the pool itself (rule 10.9).
SELECT coalesce(payer, '') AS payer, asset, count(*) AS transfers, sum(amount) AS amount, coalesce(sum(credited), 0) AS credited
FROM out_transfer WHERE month = $month AND date BETWEEN $first AND $last GROUP BY ALL ORDER BY ALL;

-- days.allocated: the month's allocations by day and asset.
SELECT allocation_date AS day, asset, sum(amount) AS amount FROM out_report WHERE month = $month AND NOT is_carried GROUP BY ALL ORDER BY ALL;

-- days.transferred: the month's transfers by day and asset.
SELECT date AS day, asset, sum(amount) AS amount, count(*) AS transfers FROM out_transfer WHERE month = $month AND date BETWEEN $first AND $last GROUP BY ALL ORDER BY ALL;

-- outflows: what left the pool, by asset and class (rule 3.1); `mined`: of it, by the outputs of coinbases.
WITH coinbase AS (SELECT DISTINCT chain, txid FROM core_transaction WHERE is_coinbase)
SELECT o.asset, o.class, sum(o.amount) AS amount, coalesce(sum(o.amount) FILTER (c.txid IS NOT NULL), 0) AS mined, count(*) AS outputs,
    count(DISTINCT o.txid) AS transactions
FROM out_outflow o LEFT JOIN coinbase c ON c.chain = o.chain AND c.txid = o.txid WHERE o.month = $month GROUP BY ALL ORDER BY ALL;

-- outflows.of_class: the outputs of one class, the largest first.
SELECT o.chain, o.txid, o.vout, o.address, o.asset, o.amount, o.date, l.name AS counterparty
FROM out_outflow o LEFT JOIN core_label l ON l.chain = o.chain AND l.address = o.address
WHERE o.month = $month AND o.class = $class ORDER BY o.amount DESC, o.txid, o.vout LIMIT $limit;

-- strangers: coins of others in the transactions that the month's outflows name, by asset (rule 3.2).
SELECT t.fee_asset AS asset, sum(t.other_inputs_value) AS amount
FROM core_transaction t WHERE t.other_inputs > 0 AND t.other_inputs_value > 0
    AND EXISTS (SELECT 1 FROM core_input i WHERE i.chain = t.chain AND i.txid = t.txid)
    AND EXISTS (SELECT 1 FROM out_outflow o WHERE o.month = $month AND o.chain = t.chain AND o.txid = t.txid)
GROUP BY ALL ORDER BY ALL;

-- balances: the balance proof of each wallet (rule 3.4).
SELECT wallet, asset, opening, "in" AS received, "out" AS sent, fee, closing, unspent FROM out_balance WHERE month = $month ORDER BY wallet, asset;

-- issues: the month's issues, as they were assessed.
SELECT code, severity, ref, detail, facts, ref_before FROM out_issue WHERE month = $month ORDER BY code, ref;

-- story.same_allocation: the rows of one allocation among those from `first` to `last`; they lie together (rule 7.5), and numbers find them without a look at every text.
SELECT n, amount, txid, transfer_date, wallet FROM out_report WHERE month = $month AND n BETWEEN $first AND $last AND allocation_id = $allocation_id ORDER BY n;

-- story.allocation: every version of an allocation.
SELECT version, account, asset, allocated_at, amount, commission_asset, commission_amount, commission_currency, commission_currency_amount
FROM raw_allocation WHERE allocation_id = $allocation_id ORDER BY version;

-- story.opening: every version of an opening (rule 6.4).
SELECT version, account, asset, owed_at AS allocated_at, amount FROM raw_opening WHERE 'opening:' || account || ':' || asset = $allocation_id ORDER BY version;

-- story.holders: who held an account, with dates.
SELECT a.miner_id, m.name, a.valid_from, a.valid_to FROM core_account a LEFT JOIN core_miner m USING (miner_id)
WHERE a.account = $account ORDER BY a.valid_from DESC, a.miner_id;

-- story.wallets: who held an address, with dates.
SELECT w.miner_id, m.name, w.valid_from, w.valid_to FROM core_wallet w LEFT JOIN core_miner m USING (miner_id)
WHERE w.address = $address AND w.chain = $chain ORDER BY w.valid_from DESC, w.miner_id;

-- story.licences: a miner's licences.
SELECT licence_number, issue_date, valid_from, valid_to, suspended_from, suspended_to FROM core_licence
WHERE miner_id = $miner_id ORDER BY issue_date, licence_number;

-- story.transfer: the transfer that a row names; `payer`: empty for the pool itself.
SELECT * FROM out_transfer WHERE month = $month AND txid = $txid AND address = $address AND asset = $asset AND coalesce(payer, '') = $payer;

-- story.payments: the newest version of the payments that name a transfer's transaction (rule 5.2).
SELECT p.payment_id, p.version, p.account, p.asset, p.amount, p.txid, p.paid_at, p.payer FROM raw_payment p
ANTI JOIN (SELECT payment_id, version FROM raw_payment WHERE version > 1) newer ON newer.payment_id = p.payment_id AND newer.version > p.version
WHERE p.txid = $txid AND p.address = $address AND p.asset = $asset AND coalesce(p.payer, '') = $payer
ORDER BY p.payment_id;

-- story.replaced_payments: the newest version of the payments to a transfer's address within a week whose own transaction is another one and not on the chain (rule 5.2).
WITH near AS MATERIALIZED (
    SELECT payment_id, version, account, asset, amount, txid, paid_at, payer FROM raw_payment
    WHERE address = $address AND asset = $asset AND coalesce(payer, '') = $payer AND txid <> $txid AND abs(paid_at - $at_us) <= $window_us)
SELECT n.* FROM near n
WHERE NOT EXISTS (SELECT 1 FROM raw_payment newer WHERE newer.version > 1 AND newer.payment_id = n.payment_id AND newer.version > n.version)
    AND NOT EXISTS (SELECT 1 FROM core_transaction t WHERE t.txid = n.txid)
ORDER BY n.payment_id;

-- story.payment: every version of a payment.
SELECT version, account, asset, address, amount, txid, paid_at FROM raw_payment WHERE payment_id = $payment_id ORDER BY version;

-- story.transaction: a transaction of the main chain with its block.
SELECT t.*, b.height, b.time, b.mediantime, b.header, b.hash AS header_hash FROM core_transaction t
JOIN core_block b ON b.chain = t.chain AND b.hash = t.block_hash WHERE t.txid = $txid;

-- story.inputs: what the pool's wallets put in.
SELECT wallet, asset, sum(value) AS value, count(*) AS coins FROM core_input WHERE txid = $txid GROUP BY ALL ORDER BY ALL;

-- story.outflows: what became of a transaction's outputs, by class.
SELECT class, asset, sum(amount) AS amount, count(*) AS outputs FROM out_outflow WHERE month = $month AND txid = $txid GROUP BY ALL ORDER BY ALL;

-- story.outputs: the outputs to one address.
SELECT vout, value FROM core_output WHERE txid = $txid AND address = $address AND asset = $asset ORDER BY vout;

-- story.tip: up to where a chain was read.
SELECT height FROM raw_chain_tip WHERE chain = $chain;

-- miner.accounts: a miner's accounts.
SELECT account, valid_from, valid_to FROM core_account WHERE miner_id = $miner_id ORDER BY valid_from, account;

-- miner.wallets: a miner's addresses.
SELECT chain, address, valid_from, valid_to FROM core_wallet WHERE miner_id = $miner_id ORDER BY valid_from, chain, address;

-- miner.name: a miner's name.
SELECT name FROM core_miner WHERE miner_id = $miner_id;

-- miner.all: every miner of the registry, with how many accounts, addresses and licences it has on a day.
SELECT m.miner_id, any_value(m.name) AS name,
    (SELECT count(*) FROM core_account a WHERE a.miner_id = m.miner_id AND a.valid_from <= $day AND (a.valid_to IS NULL OR a.valid_to > $day)) AS accounts,
    (SELECT count(*) FROM core_wallet w WHERE w.miner_id = m.miner_id AND w.valid_from <= $day AND (w.valid_to IS NULL OR w.valid_to > $day)) AS wallets,
    (SELECT count(*) FROM core_licence l WHERE l.miner_id = m.miner_id AND l.valid_from <= $day AND (l.valid_to IS NULL OR l.valid_to > $day)) AS licences
FROM core_miner m GROUP BY m.miner_id ORDER BY name, m.miner_id;
