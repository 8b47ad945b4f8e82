"""The harmless test cards and the synthetic street they appear in."""
