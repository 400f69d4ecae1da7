-- What a waiver was given on, and what an issue rests on (rule 8.5); the refs of edition 1 of the rules (rule 9.8).
ALTER TABLE raw_waiver ADD COLUMN facts VARCHAR;
ALTER TABLE out_issue ADD COLUMN facts VARCHAR;
ALTER TABLE out_issue ADD COLUMN ref_before VARCHAR;
