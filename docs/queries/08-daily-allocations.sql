-- How much was allocated on each day, to how many accounts, and how much commission was kept?
SELECT allocation_date, asset, count(DISTINCT account) AS accounts, sum(amount) AS amount, sum(commission_amount) AS commission_amount
FROM allocations
GROUP BY allocation_date, asset
ORDER BY allocation_date, asset;
