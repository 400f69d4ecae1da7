"""The nouns, errors, identifiers and folders that every room shares."""
