"""GStreamer's webrtcbin as a receiver under test; speaks as `receiver.py` does.

Run by the system's Python, whose packages GStreamer's bindings are: imports nothing but
them and the standard library. `--check` says by its exit code whether all is there.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

ELEMENTS = (
    *("webrtcbin", "nicesrc", "dtlsdec", "srtpdec", "rtpvp8depay", "rtph264depay"),
    *("h264parse", "vp8dec", "avdec_h264", "videoscale", "videorate", "fakesink"),
)
DECODING = {
    "VP8": ("rtpvp8depay", "vp8dec threads=1"),
    "H264": ("rtph264depay ! h264parse", "avdec_h264 max-threads=1"),
}
MODEL = "video/x-raw,format=RGB,width=224,height=224"
SHAPE = f"videoscale ! videoconvert ! {MODEL} ! fakesink name=out signal-handoffs=true"


def tail(name: str, codec: str) -> str:
    """The part of the pipeline behind webrtcbin."""
    depay, decode = DECODING[codec]
    if name == "gstreamer-keyframes":
        return f"{depay} ! identity drop-buffer-flags=delta-unit ! {decode} ! {SHAPE}"
    rate = "videorate ! video/x-raw,framerate=1/1"
    return f"{depay} ! {decode} ! {rate} ! {SHAPE}"


class Receiver:
    """Every stream in a pipeline of its own, in this process."""

    def __init__(self, name: str) -> None:
        gi = importlib.import_module("gi")
        for module, version in (
            ("Gst", "1.0"),
            ("GstWebRTC", "1.0"),
            ("GstSdp", "1.0"),
        ):
            gi.require_version(module, version)
        self._gst: Any = importlib.import_module("gi.repository.Gst")
        self._webrtc: Any = importlib.import_module("gi.repository.GstWebRTC")
        self._sdp: Any = importlib.import_module("gi.repository.GstSdp")
        self._gst.init(None)
        self._name = name
        self._pipelines: list[Any] = []
        self.taken = 0

    def complete(self) -> bool:
        """Whether all elements are installed."""
        return all(map(self._gst.ElementFactory.find, ELEMENTS))

    def answer_to(self, offer: str) -> str:
        """Receives one more stream; the answer to its offer."""
        pipeline = self._gst.Pipeline.new(None)
        peer = self._gst.ElementFactory.make("webrtcbin", None)
        peer.set_property("bundle-policy", "max-bundle")
        pipeline.add(peer)
        peer.connect("pad-added", self._on_pad, pipeline)
        self._pipelines.append(pipeline)
        pipeline.set_state(self._gst.State.PLAYING)
        self._do(peer, "set-remote-description", self._description("OFFER", offer))
        created = self._do(peer, "create-answer", None)
        self._do(peer, "set-local-description", created.get_value("answer"))
        complete = self._webrtc.WebRTCICEGatheringState.COMPLETE
        while peer.get_property("ice-gathering-state") != complete:
            time.sleep(0.01)
        sdp: str = peer.get_property("local-description").sdp.as_text()
        return sdp

    def _description(self, kind: str, text: str) -> Any:  # noqa: ANN401 - untyped
        _, sdp = self._sdp.SDPMessage.new_from_text(text)
        kinds = self._webrtc.WebRTCSDPType
        make = self._webrtc.WebRTCSessionDescription.new
        return make(getattr(kinds, kind), sdp)

    def _do(self, peer: Any, action: str, argument: Any) -> Any:  # noqa: ANN401
        promise = self._gst.Promise.new()
        peer.emit(action, argument, promise)
        promise.wait()
        return promise.get_reply()

    def _on_pad(self, _peer: Any, pad: Any, pipeline: Any) -> None:  # noqa: ANN401
        if pad.direction != self._gst.PadDirection.SRC:
            return
        codec = pad.get_current_caps().get_structure(0).get_string("encoding-name")
        part = self._gst.parse_bin_from_description(tail(self._name, codec), True)  # noqa: FBT003
        part.get_by_name("out").set_property("sync", False)  # noqa: FBT003
        part.get_by_name("out").connect("handoff", self._on_sample)
        pipeline.add(part)
        part.sync_state_with_parent()
        pad.link(part.get_static_pad("sink"))

    def _on_sample(self, *_: object) -> None:
        self.taken += 1

    def close(self) -> None:
        """Leaves every stream."""
        for pipeline in self._pipelines:
            pipeline.set_state(self._gst.State.NULL)


def usage() -> dict[str, float]:
    """What the process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    rss = pages * resource.getpagesize() / (1 << 20)
    cpu_s = used.ru_utime + used.ru_stime
    return {"at": time.monotonic(), "cpu_s": cpu_s, "rss_mb": rss}


def main(name: str) -> int:
    """Serves until standard input ends; the exit code."""
    receiver = Receiver(name)
    if name == "--check":
        return 0 if receiver.complete() else 1
    for line in sys.stdin:
        message = json.loads(line)
        if "offer" in message:
            said: dict[str, Any] = {"answer": receiver.answer_to(message["offer"])}
        else:
            said = {**usage(), "taken": receiver.taken, "loop_lag_ms": None}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    receiver.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
