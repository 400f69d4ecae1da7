-- From which block on authorizations of code by watched addresses are told (EIP-7702).
ALTER TABLE raw_watch ADD COLUMN authorizations_from BIGINT;
