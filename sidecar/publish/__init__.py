"""Actions to disk, then to the broker, until acknowledged."""
