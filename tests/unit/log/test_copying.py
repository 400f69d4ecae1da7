"""The console's audit topic goes along with a copied log, once each, and counts in no digest."""

from __future__ import annotations

from connectors.standins.log_memory import MemoryLog
from pipeline.app.audit_log import AuditLog
from pipeline.log.copying import check_log, copy_audit, copy_log


def test_audit_entries_are_copied_once_and_change_no_digest() -> None:
    source, target = MemoryLog(), MemoryLog()
    before = check_log(source).digest
    audit = AuditLog(source, "pool", lambda: 1_795_900_000)
    audit.signed_in("A. Person", "password", "127.0.0.1")
    audit.numbers_seen("A. Person", "/months/2026-10", ["940740000018"])
    AuditLog(source, "other", lambda: 1).signed_in("B. Person", "link", "127.0.0.1")
    assert copy_log(source, target).digest == before == check_log(target).digest, "no month depends on it"
    assert AuditLog(target, "pool", lambda: 0).entries() == []
    assert copy_audit(source, target) == 3
    assert AuditLog(target, "pool", lambda: 0).entries() == audit.entries() and len(audit.entries()) == 2
    audit.signed_out("A. Person", "A. Person")
    assert copy_audit(source, target) == 1 and copy_audit(source, target) == 0, "interrupted or repeated, it goes on"
    assert AuditLog(target, "pool", lambda: 0).entries() == audit.entries()
