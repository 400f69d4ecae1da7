-- Account chains: transactions that payments of on-chain payers name and that were looked for in the whole main chain (rule 10.8).
CREATE TABLE raw_sought (chain VARCHAR NOT NULL, seq BIGINT NOT NULL, txid VARCHAR NOT NULL);
