-- Which miners paid in October 2026 hold no licence that still counts 60 days after the month's end?
SELECT miner_id, miner_name, max(licence_issue_date) AS newest_issue_date, sum(amount) AS amount
FROM report
WHERE month = '2026-10'
    AND miner_id NOT IN (SELECT miner_id FROM licences WHERE valid_from <= DATE '2026-12-30' AND coalesce(valid_to, DATE '9999-12-31') > DATE '2026-12-30')
GROUP BY miner_id, miner_name
ORDER BY amount DESC, miner_id;
