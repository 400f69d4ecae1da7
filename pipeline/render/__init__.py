"""A frozen month, printed: canonical CSV, JSON, XLSX, PDF. Formats only, no arithmetic on what was reported."""

from .document import NEWEST_LAYOUT, Document
from .file_names import FORMATS, Format
from .formats import Printer, render_all

__all__ = ["FORMATS", "NEWEST_LAYOUT", "Document", "Format", "Printer", "render_all"]
