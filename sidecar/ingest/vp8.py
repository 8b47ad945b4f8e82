"""VP8 in RTP (RFC 7741): payloads of one picture -> its frame."""

from collections.abc import Sequence

from sidecar.domain import Codec

_EXTENDED = 0x80
_START = 0x10
_PARTITION = 0x07
_HAS_PICTURE_ID, _HAS_TL0, _HAS_TID, _HAS_KEY = 0x80, 0x40, 0x20, 0x10
_TAG = 3
_KEY_HEADER = 10  # RFC 6386 section 9.1: tag, start code, size
_START_CODE = b"\x9d\x01\x2a"


def _descriptor_length(payload: bytes) -> int:
    """Bytes before the VP8 data (RFC 7741 section 4.2); may exceed the payload."""
    if not payload[0] & _EXTENDED:
        return 1
    extensions = int.from_bytes(payload[1:2], "big")
    length = 2
    if extensions & _HAS_PICTURE_ID:
        length += 2 if payload[2:3] >= b"\x80" else 1
    if extensions & _HAS_TL0:
        length += 1
    if extensions & (_HAS_TID | _HAS_KEY):
        length += 1
    return length


def _starts_frame(payload: bytes) -> bool:
    return bool(payload[0] & _START) and not payload[0] & _PARTITION


def is_keyframe(frame: bytes) -> bool:
    """Whether a whole VP8 frame stands on its own (RFC 6386 section 9.1).

    Raises:
        ValueError: It is no VP8 frame, or one cut short.
    """
    if len(frame) < _TAG:
        raise ValueError("VP8 frame without its tag")
    tag = int.from_bytes(frame[:_TAG], "little")
    keyframe = not tag & 1
    header = _KEY_HEADER if keyframe else _TAG
    if len(frame) < header + (tag >> 5):
        raise ValueError("VP8 frame is cut short")
    if keyframe and frame[_TAG:6] != _START_CODE:
        raise ValueError("VP8 keyframe without its start code")
    return keyframe


class Vp8Depacketizer:
    """Puts one VP8 frame together again."""

    codec = Codec.VP8

    def starts(self, payload: bytes, *, first: bool) -> bool:
        """Whether `payload` is surely the first of its frame."""
        del first
        return _starts_frame(payload)

    def is_delta(self, payload: bytes) -> bool:
        """Whether the first payload of a frame tells that it is no keyframe."""
        start = _descriptor_length(payload)
        tag = payload[start : start + 1]
        return _starts_frame(payload) and bool(tag) and bool(tag[0] & 1)

    def join(self, payloads: Sequence[bytes]) -> tuple[bytes, bool]:
        """The frame of consecutive payloads, and whether it is a keyframe.

        Raises:
            ValueError: They are not one whole frame.
        """
        if not _starts_frame(payloads[0]):
            raise ValueError("VP8 frame without its beginning")
        if any(_starts_frame(payload) for payload in payloads[1:]):
            raise ValueError("two VP8 frames with one timestamp")
        frame = bytearray()
        for payload in payloads:
            length = _descriptor_length(payload)
            if length >= len(payload):
                raise ValueError("VP8 payload without data")
            frame += payload[length:]
        data = bytes(frame)
        return data, is_keyframe(data)
