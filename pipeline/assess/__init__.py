"""What a month comes to, and whether it can close (rule 8.1)."""
