"""A frozen month, printed: canonical CSV, JSON, XLSX, PDF. Formats only, no arithmetic on what was reported."""

from .document import Document
from .formats import FORMATS, Format, render_all, render_one

__all__ = ["FORMATS", "Document", "Format", "render_all", "render_one"]
