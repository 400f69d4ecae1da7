-- What months begin with, so that the years before them are not read again (ADR 25).
CREATE TABLE out_checkpoint (
    month VARCHAR NOT NULL, rules VARCHAR NOT NULL, since_us BIGINT NOT NULL, rests_on JSON NOT NULL, starts_at BIGINT NOT NULL, observed VARCHAR[] NOT NULL,
    allocations BLOB NOT NULL, credits BLOB NOT NULL, heights BLOB NOT NULL, coins BLOB NOT NULL, wallets BLOB NOT NULL, transactions BLOB NOT NULL,
    payments BLOB NOT NULL, payers BLOB NOT NULL);
