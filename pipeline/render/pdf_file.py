"""A PDF's file: each page's content is deflated and put aside as the page ends, so that memory keeps two numbers of it.

What enters: the pages of a canvas. What leaves: byte for byte the file that reportlab's own document writes of them, which holds every page in memory,
and at the end the whole file twice over. Pages differ in their content only: texts and lines, no images, notes or links. A page can also have its content in several streams,
of which one is taken from another file's pages, deflated as it lies there (layout 3, ADR 26).
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


class StoredContents:
    """Contents of pages, each deflated and written as a stream, in order."""

    def __init__(self, folder: Path | None) -> None:
        """`folder`: where they lie, the system's temporary one when None."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115 - `close` closes it
        self._sizes = array("Q")
        """Of each as it lies there, in bytes."""

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, content: str, document: PDFDocument) -> None:
        stream = PDFStream(content=content, filters=[PDFZCompress]).format(document)
        self._file.write(stream)
        self._sizes.append(len(stream))

    def __iter__(self) -> Iterator[bytes]:
        """All of them, in order; nothing is added meanwhile."""
        self._file.seek(0)
        return map(self._file.read, self._sizes)

    def close(self) -> None:
        """Let them go."""
        self._file.close()


class StoredPages(PDFDocument):  # type: ignore[misc]
    """A document whose pages are put aside as they come, and go from there straight to the file when the canvas is saved."""

    def __init__(self, file: IO[bytes] | None, folder: Path | None, *, common: StoredContents | None = None, **settings: Any) -> None:
        """`file` None: pages are let go, and nothing is saved. `folder`: where pages lie until the file is written, the system's temporary one when None.

        `common`: contents for `take_common`; the caller closes them. `settings`: the library's own.
        """
        super().__init__(**settings)
        self._file = file
        self._own, self._common = StoredContents(folder), common
        self._order = bytearray()
        """Of each stream, in the order of the pages, whether it is one of `common`."""
        self._streams = array("B")
        """Of each page, how many streams it has."""
        self._taken = 0
        """Streams of the page that is being drawn."""
        self._pages = range(0)
        """The pages' objects: their numbers follow one another."""
        self._any: PDFPage | None = None
        """One of the pages; all are written as it, but for their content."""

    def close(self) -> None:
        """Let the pages go."""
        self._own.close()

    def take_common(self, above: list[str]) -> None:
        """End a stream of this page with what was drawn `above`, if anything was; the next of `common` follows."""
        assert self._common is not None, "there is nothing in common"
        if above:
            self._put("\n".join(above) + "\n")
        self._order.append(True)
        self._taken += 1

    def addPage(self, page: PDFPage) -> None:
        """Called by the canvas for each page that ends."""
        assert not (page.Annots or page.XObjects), "pages differ in their content only"
        self.objectcounter += 1
        self.pageCounter += 1
        self.inObject = None
        if self._file is None:
            return
        self._pages = range(self._pages.start or self.objectcounter, self.objectcounter + 1)
        self._put(page.stream)
        self._streams.append(self._taken)
        self._taken = 0
        assert len(self._streams) == len(self._pages), "nothing else is given a number between pages"
        page.stream, page.Contents = None, _CONTENTS
        self._any = page

    def _put(self, content: str) -> None:
        self._own.add(content, self)
        self._order.append(False)
        self._taken += 1

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
        content = iter(contents)
        own, common = iter(self._own), iter(self._common or ())
        while True:
            if number in self._pages:
                if not contents:
                    self.Pages.pages = [f"{page} 0 R" for page in self._pages]
                    before, after = format(self._any, self, toplevel=1).split(_CONTENTS.encode())
                    contents = range(self.objectcounter + 1, self.objectcounter + 1 + len(self._order))
                    self.objectcounter += len(contents)
                    content = iter(contents)
                streams = [b"%d 0 R" % next(content) for _ in range(self._streams[number - self._pages.start])]
                named = streams[0] if len(streams) == 1 else b"[ %b ]" % b" ".join(streams)
                yield b"%d 0 obj\n%b%b%b\nendobj\n" % (number, before, named, after)
            elif number in contents:
                is_common = self._order[number - contents.start]
                yield b"%d 0 obj\n%bendobj\n" % (number, next(common if is_common else own))
            elif (name := self.numberToId.get(number)) is not None:
                yield PDFIndirectObject(name, self.idToObject[name]).format(self)
            else:
                return
            number += 1
