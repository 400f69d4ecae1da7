"""Ways of signing: a PKCS #12 file, NCANode, and RFC 3161 timestamps."""
