"""Who did what to the sidecar: an append-only, hash-chained log."""
