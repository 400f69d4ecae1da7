"""Esep: what a mining pool pays out on chain becomes the monthly form ЦМПМ1."""

__version__ = "0.1.0"
