"""The recorded month, carried from a recorded node to a frozen and verified form."""
