"""Facts in, judgement out (law 3): pure polars, every stage `frames -> frames and issues`, each citing its rules."""
