"""Words for people in Kazakh, Russian and English, and dates and amounts as each language writes them (ADR 13)."""

from .catalogue import LANGUAGES, N_, Language, Texts, terminal_language, texts

__all__ = ["LANGUAGES", "N_", "Language", "Texts", "terminal_language", "texts"]
