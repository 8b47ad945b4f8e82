"""Samples of all streams to scores, in batches."""
