"""Ways of filing: over HTTP, or into a folder that a person hands in."""
