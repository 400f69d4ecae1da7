-- Place, branch and bytes of the transactions in the table `wanted` (chain, txid), as they stand in the main chain.
SELECT t.chain, t.txid, t.block_hash, b.height, t.position, t.branch, t.raw
FROM raw_transaction AS t
JOIN raw_block AS b ON b.chain = t.chain AND b.hash = t.block_hash AND b.is_main
WHERE t.raw IS NOT NULL AND t.branch IS NOT NULL
  AND EXISTS (SELECT 1 FROM wanted AS w WHERE w.chain = t.chain AND w.txid = t.txid)
ORDER BY t.chain, b.height, t.position;
