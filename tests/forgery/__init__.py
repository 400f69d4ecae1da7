"""The adversary's toolkit: forged bundles, made from an honest one and resealed as a forger would, and what stops each."""
