"""H.264 in RTP (RFC 6184) and in files: payloads or Annex B -> access units."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sidecar.domain import Codec

_TYPE = 0x1F
_SLICE, _IDR, _SPS, _PPS, _DELIMITER = 1, 5, 7, 8, 9
_STAP_A, _FU_A = 24, 28
_FU_START, _FU_END = 0x80, 0x40
_FU_HEADER = 2
_STAP_HEADER = 3  # type, size of the first NAL unit
_FIRST_MACROBLOCK = 0x80  # ue(v) of first_mb_in_slice = 0 is the single bit 1
_START_CODE = b"\x00\x00\x00\x01"
_MAX_SETS = 32  # ITU-T H.264 section 7.4.2.1.1: as many SPS ids; ample for PPS
_MAX_SET_BYTES = 4096


def _kind(nal: bytes) -> int:
    return nal[0] & _TYPE


def _is_picture(nal: bytes) -> bool:
    return _SLICE <= _kind(nal) <= _IDR


def _first_slice(data: bytes) -> bool:
    """Whether slice data, behind its NAL header, begins a picture."""
    return bool(data) and bool(data[0] & _FIRST_MACROBLOCK)


def _aggregated(payload: bytes) -> Iterator[bytes]:
    """The NAL units of a STAP-A (RFC 6184 section 5.7.1)."""
    position = 1
    while position < len(payload):
        size = int.from_bytes(payload[position : position + 2], "big")
        position += 2
        if not size or position + size > len(payload):
            raise ValueError("STAP-A is cut short")
        yield payload[position : position + size]
        position += size


def _fragment(payload: bytes, begun: bytearray | None) -> bytearray:
    """What is `begun` of a NAL unit, with the next FU-A (section 5.8)."""
    if len(payload) < _FU_HEADER + 1:
        raise ValueError("FU-A without data")
    if bool(payload[1] & _FU_START) != (begun is None):
        raise ValueError("FU-A out of order")
    if begun is None:
        begun = bytearray([payload[0] & ~_TYPE & 0xFF | payload[1] & _TYPE])
    begun += payload[_FU_HEADER:]
    return begun


def _joined(payloads: Sequence[bytes]) -> Iterator[bytes]:
    """The NAL units of consecutive payloads, aggregates split, fragments joined."""
    begun: bytearray | None = None
    for payload in payloads:
        kind = _kind(payload)
        if kind == _FU_A:
            begun = _fragment(payload, begun)
            if payload[1] & _FU_END:
                yield bytes(begun)
                begun = None
        elif begun is not None or not 0 < kind <= _STAP_A:
            raise ValueError(f"packet of type {kind} is out of place")
        elif kind == _STAP_A:
            yield from _aggregated(payload)
        else:
            yield payload
    if begun is not None:
        raise ValueError("FU-A without its end")


def split_annex_b(data: bytes) -> Iterator[bytes]:
    """The NAL units between start codes (ITU-T H.264 annex B)."""
    for piece in data.split(b"\x00\x00\x01")[1:]:
        if nal := piece.rstrip(b"\x00"):
            yield nal


def _exp_golomb(data: bytes) -> int:
    """The first ue(v) of `data` (section 9.1), as far as ids need it."""
    bits = int.from_bytes(data[:4].ljust(4, b"\x00"), "big")
    zeros = 32 - bits.bit_length()
    return (bits >> max(31 - 2 * zeros, 0)) - 1


@dataclass
class ParameterSets:
    """The SPS and PPS heard of so far, by id, to complete keyframes with."""

    _sps: dict[int, bytes] = field(default_factory=dict)
    _pps: dict[int, bytes] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether there is at least one of each."""
        return bool(self._sps and self._pps)

    def remember(self, nals: Iterable[bytes]) -> None:
        """Keeps every parameter set among `nals`, the newest of an id."""
        for nal in nals:
            if _kind(nal) == _SPS:
                self._keep(self._sps, _exp_golomb(nal[4:]), nal)
            elif _kind(nal) == _PPS:
                self._keep(self._pps, _exp_golomb(nal[1:]), nal)

    def _keep(self, sets: dict[int, bytes], number: int, nal: bytes) -> None:
        if len(nal) <= _MAX_SET_BYTES and (number in sets or len(sets) < _MAX_SETS):
            sets[number] = nal

    def remember_sprop(self, text: str) -> None:
        """Keeps those of an SDP `sprop-parameter-sets` (RFC 6184 section 8.1).

        Raises:
            ValueError: `text` is malformed.
        """
        try:
            nals = [base64.b64decode(part, validate=True) for part in text.split(",")]
        except binascii.Error as exc:
            raise ValueError("sprop-parameter-sets is no base64") from exc
        self.remember(nal for nal in nals if nal)

    def complete(self, nals: Sequence[bytes]) -> tuple[bytes, bool] | None:
        """Annex B of one access unit, and whether it is a keyframe.

        SPS and PPS are put before an IDR picture that comes without. None if there
        is no picture in it.

        Raises:
            ValueError: The picture is not whole, or cannot be decoded for lack of
                parameter sets.
        """
        self.remember(nals)
        pictures = [nal for nal in nals if _is_picture(nal)]
        if not pictures:
            return None
        if not _first_slice(pictures[0][1:]):
            raise ValueError("H.264 picture without its first slice")
        keyframe = any(_kind(nal) == _IDR for nal in pictures)
        if keyframe:
            nals = self._with_sets(nals)
        return b"".join(_START_CODE + nal for nal in nals), keyframe

    def _with_sets(self, nals: Sequence[bytes]) -> Sequence[bytes]:
        if not self.known:
            raise ValueError("H.264 keyframe without parameter sets")
        kinds = {_kind(nal) for nal in nals}
        sets = [] if _SPS in kinds else list(self._sps.values())
        sets += [] if _PPS in kinds else list(self._pps.values())
        if not sets:
            return nals
        # A delimiter stays first, an SPS stays before the PPS that refers to it.
        head = 0
        while _kind(nals[head]) in {_DELIMITER, _SPS}:
            head += 1
        return [*nals[:head], *sets, *nals[head:]]


class H264Depacketizer:
    """Puts one H.264 access unit together again, as Annex B.

    Args:
        sprop: The SDP's `sprop-parameter-sets`, if any; ignored if malformed.
    """

    codec = Codec.H264

    def __init__(self, sprop: str | None = None) -> None:
        self._sets = ParameterSets()
        if sprop:
            try:
                self._sets.remember_sprop(sprop)
            except ValueError:
                self._sets = ParameterSets()

    def starts(self, payload: bytes, *, first: bool) -> bool:
        """Whether `payload` is surely the first of its access unit.

        An SPS or a delimiter is. The first slice of an IDR picture is believed only
        as the `first` packet of all and with parameter sets from the SDP: otherwise
        those may have been lost with the packets before.
        """
        kind = _kind(payload)
        if kind == _STAP_A and len(payload) > _STAP_HEADER:
            kind = _kind(payload[_STAP_HEADER:])
        if kind in {_SPS, _DELIMITER}:
            return True
        if not first or not self._sets.known:
            return False
        if kind == _FU_A and payload[1:2] == bytes([_FU_START | _IDR]):
            return _first_slice(payload[_FU_HEADER:])
        return kind == _IDR and _first_slice(payload[1:])

    def is_delta(self, payload: bytes) -> bool:
        """Whether the first payload of an access unit tells that it is no keyframe.

        Delimiters and parameter sets tell nothing.
        """
        kind = _kind(payload)
        return (
            payload[1] & _TYPE if kind == _FU_A and len(payload) > 1 else kind
        ) == _SLICE

    def join(self, payloads: Sequence[bytes]) -> tuple[bytes, bool] | None:
        """The access unit of consecutive payloads, and whether it is a keyframe.

        None if it holds parameter sets only.

        Raises:
            ValueError: They are not one whole access unit.
        """
        return self._sets.complete(list(_joined(payloads)))
