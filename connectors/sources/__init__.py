"""Sources of the ledger: databases and services that a pool's books are read from (ADR 22). Each gives the rows of one look; `pipeline.capture` reads them."""
