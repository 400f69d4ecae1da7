-- Where do the ledger's payments and the chain's transfers of October 2026 differ, and how is it explained?
SELECT txid, address, miner_name, amount_printed, credited_printed, credited - amount AS difference, explanation
FROM transfers
WHERE month = '2026-10' AND credited IS DISTINCT FROM amount
ORDER BY abs(credited - amount) DESC, txid, address;
