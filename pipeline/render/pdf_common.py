"""What the pages of a form have in common in all languages: their rows, drawn once (layout 3, ADR 26).

What enters: each page's rows as the first language draws them. What leaves: the same streams, and the characters' codes that they are written in, for every other language.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

from .pdf_file import StoredContents, StoredPages
from .pdf_text import ROWS, fonts


class CommonRows:
    """The rows of a form's pages, from the first page on."""

    def __init__(self, folder: Path | None) -> None:
        """`folder`: where they lie (`StoredContents`)."""
        self.contents = StoredContents(folder)
        self.bottoms = array("d")
        """By page, the y below its rows."""
        self._codes: Any = None
        """As the library keeps them of a font in one file."""

    def share_font(self, document: StoredPages) -> None:
        """Give the file the rows' font as its first, with the characters that the rows have."""
        font = fonts()[ROWS]
        codes = font._assignState(document)
        if self._codes is None:
            self._codes = codes
        codes.assignments, codes.subsets = self._codes.assignments, self._codes.subsets
        font.getSubsetInternalName(0, document)

    def has(self, page: int) -> bool:
        return page <= len(self.contents)

    def add(self, page: int, code: list[str], bottom: float, document: StoredPages) -> None:
        """Put a page's rows aside as they were drawn."""
        assert page == len(self.contents) + 1, "pages come in order"
        self.contents.add("\n".join(code) + "\n", document)
        self.bottoms.append(bottom)

    def close(self) -> None:
        """Let the rows go."""
        self.contents.close()
