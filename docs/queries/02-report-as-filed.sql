-- What are the fifteen columns of the form for October 2026, as they are filed?
SELECT n, miner_id, miner_name, licence_number, licence_issue_date, wallet, allocation_date, asset, amount_printed,
    transfer_amount_printed, transfer_date, commission_asset, commission_asset_amount_printed, commission_currency, commission_currency_amount
FROM report
WHERE month = '2026-10'
ORDER BY n;
