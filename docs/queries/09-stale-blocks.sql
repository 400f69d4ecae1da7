-- Which blocks left the main chain, and which block stands at their height now?
SELECT stale.chain, stale.height, stale.hash AS stale_hash, main.hash AS main_hash, stale.date AS stale_date, main.date AS main_date
FROM blocks stale LEFT JOIN blocks main ON main.chain = stale.chain AND main.height = stale.height AND main.is_main
WHERE NOT stale.is_main
ORDER BY stale.chain, stale.height, stale.hash;
