"""Samples live WebRTC streams, scores them, publishes takedown signals by MQTT."""

import os

__version__ = "0.1.0"

# From 1.32 on onnxruntime reports its use to its maker, and keeps files for that in the
# home directory, unless this is set before it is imported. Nothing of ours leaves the
# host unasked.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 (written)
