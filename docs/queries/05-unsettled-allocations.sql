-- Which allocations of October 2026 are not settled by any transfer yet, oldest first?
SELECT allocation_date, allocation_id, miner_id, miner_name, asset, amount_printed
FROM report
WHERE month = '2026-10' AND is_unsettled AND NOT is_carried
ORDER BY allocation_date, allocation_id;
