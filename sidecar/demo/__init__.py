"""Everything embedded and real, for a first look."""
