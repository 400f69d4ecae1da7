"""What the system says of a file, in words that can be translated."""

from __future__ import annotations

from pipeline.model.errors import MonthError
from pipeline.model.message import message
from pipeline.model.system_words import trouble_text
from pipeline.texts import texts


def test_a_file_and_the_sentence_in_the_reader_s_language() -> None:
    said = trouble_text(FileNotFoundError(2, "No such file or directory", "months/v1"))
    assert said == "months/v1: No such file or directory"
    assert texts("ru").tell(said) == "months/v1: нет такого файла или папки"
    assert trouble_text(OSError(2, "no file")) == "no file", "no name, and a sentence that is not Linux's"
    assert trouble_text(TimeoutError("too late")) == "too late"
    own = message("no {what}", what="node")
    assert trouble_text(MonthError(own)) is own
