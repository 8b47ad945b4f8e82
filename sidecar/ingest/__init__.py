"""Packets to whole encoded pictures, one source a stream."""
