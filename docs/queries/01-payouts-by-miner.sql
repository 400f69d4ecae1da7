-- How much did each miner get on chain in October 2026, and in how many transfers?
SELECT miner_id, miner_name, asset, count(*) AS transfers, sum(amount) AS amount,
    printed(sum(amount), any_value(decimals)) AS amount_printed
FROM transfers LEFT JOIN out_asset USING (asset)
WHERE month = '2026-10'
GROUP BY miner_id, miner_name, asset
ORDER BY amount DESC, miner_id;
