"""The life of a month: calendar, filing, approvals, amendments, notices, decisions (ADR 5)."""
