"""Streams received and sampled in processes of their own, one for each core."""
