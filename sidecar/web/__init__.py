"""Control API, WHIP over HTTP, metrics and health."""
