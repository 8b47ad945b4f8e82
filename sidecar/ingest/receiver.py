"""One WebRTC peer that receives one video track, as WHIP and WHEP need it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import (
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import SessionDescription, candidate_from_sdp, candidate_to_sdp

from sidecar.clock import Clock
from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamUnavailable, StreamUnsupported, UnsupportedReason
from sidecar.ingest.aiortc_bend import (
    expect_candidates,
    ice_connection,
    running_for,
)
from sidecar.ingest.ice import Gathering, IceServer, IceSettings
from sidecar.ingest.sdp import fragment, restarted
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.ingest.track import TrackReceiver
from sidecar.ingest.video_only import VideoOnly, is_usable_candidate
from sidecar.stats import Stats

__all__ = ["IceServer", "IceSettings", "Peer"]

# What aiortc's SDP parser lets out, instead of one error of its own (fuzzed).
_MALFORMED: Final = (
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(StopIteration, InvalidAccessError, InvalidStateError),
)
_CLOSE_S: Final = 1.0  # aiortc's last tasks end within 20 ms
_CODECS: Final = "VP8 and H264 are decoded"


class PeerSource:
    """What one peer sends, as an `AccessUnitSource`."""

    def __init__(self, receiver: TrackReceiver) -> None:
        self._receiver = receiver

    @property
    def codec(self) -> Codec:
        """Of what comes; before anything came, the first agreed on."""
        return self._receiver.path.codec

    def want(self, want: Want) -> None:
        """Sets what is delivered from now on."""
        self._receiver.want(want)

    def rest(self, until: float) -> None:
        """Drops packets until `until`, before they cost anything."""
        self._receiver.rest(until)

    def request_keyframe(self) -> None:
        """Sends a PLI, and lets its answer in."""
        self._receiver.request_keyframe()

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        return self._receiver.buffer


class Peer:
    """A connection that receives one video track as access units.

    To be created inside a running event loop, and closed whatever happens.

    Args:
        stream_id: For errors and logs.
        ice: How candidates are gathered.
        clock: When packets came.
        stats: Counts.
        packet_timeout_s: Silence after which the stream is given up.
    """

    def __init__(
        self,
        stream_id: str,
        ice: IceSettings,
        clock: Clock,
        stats: Stats,
        *,
        packet_timeout_s: float = 10.0,
    ) -> None:
        self._stream_id = stream_id
        self._ice = ice
        self._settled = asyncio.Event()
        configuration = RTCConfiguration(
            iceServers=ice.for_aiortc(), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE
        )
        self._connection = RTCPeerConnection(configuration)
        self._connection.on("connectionstatechange", self._state_changed)
        transceiver = self._connection.addTransceiver("video", direction="recvonly")
        self._transceiver = transceiver
        self._transport = transceiver.receiver.transport.transport
        self._gathering = Gathering(ice_connection(self._transport), ice, stats)
        self._receiver = TrackReceiver(
            transceiver, stream_id, self._gathering.door, clock, stats, packet_timeout_s
        )

    async def offer(self) -> str:
        """The SDP offer for WHEP, with all gathered candidates.

        Raises:
            StreamUnavailable: No UDP port could be bound.
        """
        await self._describe()
        return self._connection.localDescription.sdp

    async def answer_to(self, sdp_offer: str) -> str:
        """The SDP answer for WHIP, with all gathered candidates.

        Sections other than the first video are rejected in it.

        Raises:
            StreamUnavailable: No UDP port could be bound.
            StreamUnsupported: Malformed SDP, no video, or no VP8 nor H.264.
        """
        remote = await self._remote(sdp_offer, "offer")
        await self._describe()
        return remote.widened(self._connection.localDescription.sdp)

    async def accept(self, sdp_answer: str) -> None:
        """Takes the answer to `offer`.

        Raises:
            StreamUnavailable: The server sends no video at present.
            StreamUnsupported: Malformed SDP, or no VP8 nor H.264 agreed.
        """
        await self._remote(sdp_answer, "answer")

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Adds remote candidates of a trickle-ice-sdpfrag (RFC 8840).

        Raises:
            ValueError: Malformed.
        """
        for line in sdp_fragment.splitlines():
            value = line.removeprefix("a=candidate:")
            if value == line or not is_usable_candidate(value):
                continue
            candidate = candidate_from_sdp(value)
            candidate.sdpMid = self._transceiver.mid
            await self._connection.addIceCandidate(candidate)

    async def restart_ice(self, sdp_fragment: str) -> str:
        """A new ICE session with the credentials and candidates of a fragment.

        Returns:
            Ours, as a fragment (RFC 8840). Media goes on meanwhile.

        Raises:
            ValueError: Malformed, or without credentials.
        """
        theirs = fragment(sdp_fragment.encode())
        if theirs.ufrag is None or theirs.pwd is None:
            raise ValueError("no ice-ufrag and ice-pwd")
        for line in theirs.text.splitlines():
            if line.startswith("a=candidate:"):
                is_usable_candidate(line.removeprefix("a=candidate:"))
        ufrag, password = self._gathering.restart(theirs.ufrag, theirs.pwd)
        gatherer = self._transport.iceGatherer
        expect_candidates(gatherer)
        await self.add_candidates(theirs.text)
        return restarted(
            ufrag,
            password,
            self._transceiver.mid or "0",
            [candidate_to_sdp(c) for c in gatherer.getLocalCandidates()],
        )

    def source(self) -> AccessUnitSource:
        """What is received; usable after `accept` or `answer_to`."""
        return PeerSource(self._receiver)

    async def wait_connected(self, timeout_s: float) -> None:
        """Returns once media can flow.

        Raises:
            StreamUnavailable: ICE or DTLS failed, or `timeout_s` passed.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            message = f"not connected within {timeout_s:g} s"
            raise StreamUnavailable(self._stream_id, message) from None
        if self._connection.connectionState != "connected":
            raise StreamUnavailable(self._stream_id, "ICE or DTLS failed")

    async def close(self) -> None:
        """Closes everything; may be called twice.

        Goes on to the end even if the caller is cancelled or has waited a second:
        aiortc's close cannot be taken up again.
        """
        self._receiver.buffer.close()
        with suppress(TimeoutError):  # a TURN server that is gone is asked for 63 s
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.shield(self._connection.close())
        if left := running_for(self._connection):
            await asyncio.wait(left, timeout=_CLOSE_S)

    async def _describe(self) -> None:
        """Gathers candidates and sets the local description."""
        await self._connection.setLocalDescription()
        if not self._transport.iceGatherer.getLocalCandidates():
            where = "any port"
            if self._ice.port_range is not None:
                first, last = self._ice.port_range
                where = f"ports {first}-{last}"
            message = f"no UDP socket could be bound: {where}"
            raise StreamUnavailable(self._stream_id, message)

    async def _remote(self, sdp: str, kind: str) -> VideoOnly:
        """Sets the remote description, cut down to its video."""
        try:
            remote = VideoOnly.of(sdp)
            narrowed = RTCSessionDescription(remote.narrowed(), kind)
            SessionDescription.parse(narrowed.sdp)  # a StopIteration dies in async code
        except _MALFORMED as exc:
            raise self._malformed(kind, exc) from exc
        self._check(remote)
        self._receiver.described(remote.sprop, remote.other_payload_types)
        try:
            await self._connection.setRemoteDescription(narrowed)
        except OperationError as exc:
            raise self._undecodable(remote) from exc
        except _MALFORMED as exc:
            raise self._malformed(kind, exc) from exc
        return remote

    def _malformed(self, kind: str, error: Exception) -> StreamUnsupported:
        message = f"the {kind} is malformed: {type(error).__name__}"
        return StreamUnsupported(self._stream_id, message)

    def _check(self, remote: VideoOnly) -> None:
        """Raises where video is not to be had, before aiortc looks at it."""
        if remote.rejected:
            raise self._undecodable(remote)
        if remote.direction in {"recvonly", "inactive"}:
            raise StreamUnavailable(self._stream_id, "the peer sends no video")

    def _undecodable(self, remote: VideoOnly) -> StreamUnsupported:
        names = ", ".join(remote.encodings)[:100] or "none"
        return StreamUnsupported(
            self._stream_id,
            f"no codec in common: {names}; {_CODECS}",
            reason=UnsupportedReason.CODEC,
        )

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "failed":
            error = StreamUnavailable(self._stream_id, "ICE or DTLS failed")
            self._receiver.buffer.fail(error)
        elif state == "closed":
            self._receiver.buffer.close()
        if state in {"connected", "failed", "closed"}:
            self._settled.set()
