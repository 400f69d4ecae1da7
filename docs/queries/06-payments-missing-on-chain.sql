-- Which payments does the ledger believe in, whose transaction is not in the main chain?
SELECT payment_id, account, address, amount_printed, txid, paid_at
FROM payments
WHERE NOT is_on_chain
ORDER BY paid_at, payment_id;
