"""Signatures: CMS, certificates and their checks."""
