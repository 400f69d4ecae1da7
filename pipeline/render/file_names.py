"""The names of a month's printed files, by format and language."""

from __future__ import annotations

from typing import Literal, get_args

from pipeline.model.errors import EsepError
from pipeline.model.message import message

from .form import LANGUAGES, Language

Format = Literal["json", "xlsx", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)


def file_name(format: Format, language: Language = "kk") -> str:
    """`report.pdf` in Kazakh, `report.ru.pdf` in Russian, `report.json` in any."""
    check_format(format, language)
    return f"report.{format}" if language == "kk" or format == "json" else f"report.{language}.{format}"


def check_format(format: str, language: str) -> None:
    """Raises EsepError for a format or language that is not one of ours."""
    if format not in FORMATS:
        raise EsepError(
            message("{format} is not a format of the report: choose from {formats}", format=repr(format), formats=", ".join(FORMATS))
        )
    if language not in LANGUAGES:
        raise EsepError(
            message(
                "{language} is not a language of the form: choose from {languages}", language=repr(language), languages=", ".join(LANGUAGES)
            )
        )
