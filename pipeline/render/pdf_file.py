"""A PDF's file: each page's content is deflated and put aside as the page ends, so that memory keeps two numbers of it.

What enters: the pages of a canvas. What leaves: byte for byte the file that reportlab's own document writes of them, which holds every page in memory,
and at the end the whole file twice over. Pages differ in their content only: texts and lines, no images, notes or links.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from reportlab.pdfbase.pdfdoc import PDFDocument, PDFFile, PDFIndirectObject, PDFPage, PDFStream, PDFTrailer, PDFZCompress, format

_IN_MEMORY: Final = 8 << 20
"""Bytes of pages held in memory; more lie in a file without a name."""
_CONTENTS: Final = "the page's contents"
"""Stands for the reference to its content in what is written of any page."""


class StoredPages(PDFDocument):  # type: ignore[misc]
    """A document whose pages are put aside as they come, and go from there straight to the file when the canvas is saved."""

    def __init__(self, file: IO[bytes] | None, folder: Path | None, **settings: Any) -> None:
        """`file` None: pages are let go, and nothing is saved. `folder`: where pages lie until the file is written, the system's temporary one when None. `settings`: the library's own."""
        super().__init__(**settings)
        self._file = file
        self._stored = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115 - `close` closes it
        self._sizes = array("Q")
        """Of each page's content as it lies there, in bytes."""
        self._pages = range(0)
        """The pages' objects: their numbers follow one another."""
        self._any: PDFPage | None = None
        """One of the pages; all are written as it, but for their content."""

    def close(self) -> None:
        """Let the pages go."""
        self._stored.close()

    def addPage(self, page: PDFPage) -> None:
        """Called by the canvas for each page that ends."""
        assert not (page.Annots or page.XObjects), "pages differ in their content only"
        self.objectcounter += 1
        self.pageCounter += 1
        self.inObject = None
        if self._file is None:
            return
        self._pages = range(self._pages.start or self.objectcounter, self.objectcounter + 1)
        content = PDFStream(content=page.stream, filters=[PDFZCompress]).format(self)
        self._stored.write(content)
        self._sizes.append(len(content))
        assert len(self._sizes) == len(self._pages), "nothing else is given a number between pages"
        page.stream, page.Contents = None, _CONTENTS
        self._any = page

    def format(self) -> bytes:
        """Called by the canvas to save the file, for its bytes: writes them, and leaves none to write."""
        catalog, info = self.Reference(self.Catalog), self.Reference(self.info)
        file, places, at = self._file, array("Q"), 0
        assert file is not None, "pages were only counted"

        def write(piece: bytes) -> None:
            nonlocal at
            file.write(piece)
            at += len(piece)

        write(PDFFile(self._pdfVersion).format(self))
        for one in self._objects():
            places.append(at)
            write(one)
        table_at = at
        write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1))
        for place in places:
            write(b"%010d 00000 n \n" % place)
        write(PDFTrailer(startxref=table_at, Size=len(places) + 1, Root=catalog, Info=info, ID=self.ID()).format(self))
        return b""

    def _objects(self) -> Iterator[bytes]:
        """Every object in the order of numbers, which the library gives out as it comes to what an object refers to: of pages first their tree, then the contents."""
        number, contents = 1, range(0)
        before = after = b""
        self._stored.seek(0)
        while True:
            if number in self._pages:
                if not contents:
                    self.Pages.pages = [f"{page} 0 R" for page in self._pages]
                    before, after = format(self._any, self, toplevel=1).split(_CONTENTS.encode())
                    contents = range(self.objectcounter + 1, self.objectcounter + 1 + len(self._pages))
                    self.objectcounter += len(self._pages)
                content = contents[number - self._pages.start]
                yield b"%d 0 obj\n%b%d 0 R%b\nendobj\n" % (number, before, content, after)
            elif number in contents:
                size = self._sizes[number - contents.start]
                yield b"%d 0 obj\n%bendobj\n" % (number, self._stored.read(size))
            elif (name := self.numberToId.get(number)) is not None:
                yield PDFIndirectObject(name, self.idToObject[name]).format(self)
            else:
                return
            number += 1
