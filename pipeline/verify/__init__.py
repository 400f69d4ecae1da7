"""What a bundle proves, from its files alone: no store, no log, no network."""
