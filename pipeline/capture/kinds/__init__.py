"""How the rows of each kind of source are read: one module a kind, pure."""
