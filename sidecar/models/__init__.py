"""The models at hand: listed, shown, verified, and brought in from elsewhere."""
