"""Month to immutable bundle (rule 8): can it close, what is in it, does it hold, does it come out the same."""
