"""What a stream costs on this machine: `sidecar bench`."""
