"""Samples live WebRTC streams, scores them, publishes takedown signals by MQTT."""

__version__ = "0.1.0"
