-- Where did the pool's money go in October 2026, by class of outflow?
SELECT class, asset, count(*) AS outputs, sum(amount) AS amount, printed(sum(amount), any_value(decimals)) AS amount_printed
FROM outflows LEFT JOIN out_asset USING (asset)
WHERE month = '2026-10'
GROUP BY class, asset
ORDER BY amount DESC, class;
