"""The pool's ledger and registry from files: CSV, XLSX and Parquet, checked whole, then appended to the log at once."""

from .ledger import ImportResult, ReadOptions, declare_complete, import_ledger, read_ledger, review_ledger
from .registry import RegistryContent, RegistryImportResult, counterparties_of_pool, import_registry, read_registry

__all__ = [
    "ImportResult", "ReadOptions", "RegistryContent", "RegistryImportResult", "counterparties_of_pool", "declare_complete", "import_ledger", "import_registry",
    "read_ledger", "read_registry", "review_ledger",
]  # fmt: skip
