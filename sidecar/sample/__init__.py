"""Which picture of which stream is looked at, and its decoding."""
