"""What this stage relies on inside aiortc and aioice, checked before it is used.

The public API of aiortc cannot receive without decoding. The parts used instead are
private and may move with any release, hence the narrow pin in `pyproject.toml`, this
check at import, and its test.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from importlib import metadata
from types import CodeType
from typing import Any, Final

from aioice import Connection
from aioice.ice import StunProtocol
from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.codecs import CODECS
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import AnyRtcpPacket
from pylibsrtp import Session

# Function -> names (attributes, globals, constants of keywords) its code must mention.
REQUIRED: Final[tuple[tuple[Callable[..., Any], tuple[str, ...]], ...]] = (
    (RTCRtpTransceiver.__init__, ("_RTCRtpTransceiver__receiver",)),
    (RTCRtpTransceiver.stop, ("_RTCRtpTransceiver__receiver", "stop")),
    (
        RTCPeerConnection.setRemoteDescription,
        ("_track", "transport", "find_common_codecs"),
    ),
    (RTCPeerConnection._RTCPeerConnection__connect, ("receive",)),  # type: ignore[attr-defined] # noqa: SLF001
    (RTCRtpSender.__init__, ("_ssrc",)),
    (RTCRtpSender._run_rtp, ("_next_encoded_frame",)),  # noqa: SLF001
    (RTCDtlsTransport._recv_next, ("_rx_srtp", "unprotect", "unprotect_rtcp")),  # noqa: SLF001
    (RTCDtlsTransport._RTCDtlsTransport__run, ("_handle_disconnect", "_rtp_router")),  # type: ignore[attr-defined] # noqa: SLF001
    (RTCDtlsTransport._send_rtp, ("protect_rtcp", "_send")),  # noqa: SLF001
    (RtpRouter.route_rtp, ("payload_type_table",)),
    (RTCIceGatherer.__init__, ("_connection",)),
    (RTCIceTransport.__init__, ("_connection", "_recv", "_send")),
    (Connection.__init__, ("_queue", "_protocols", "_nominated", "_closing")),
    (
        Connection.__init__,
        ("_check_list", "_check_list_done", "_local_username", "_local_password"),
    ),
    (Connection.add_remote_candidate, ("_remote_candidates_end",)),
    (Connection._check_periodic, ("_check_list_done", "check_start_task")),  # noqa: SLF001
    (Connection.check_incoming, ("_remote_candidates", "_check_list")),
    (Connection.query_consent, ("_nominated", "remote_password")),
    (RTCIceTransport.addRemoteCandidate, ("_remote_candidates_end",)),
    (Connection.gather_candidates, ("get_component_candidates",)),
    (Connection.data_received, ("_queue", "put_nowait")),
    (StunProtocol.datagram_received, ("local_candidate", "data_received")),
)

Send = Callable[[bytes], Coroutine[Any, Any, None]]
HearRtcp = Callable[[AnyRtcpPacket], Awaitable[None]]

_PACKAGES: Final = ("aiortc", "aioice")
_PROFILES: Final = ("4d001f", "64001f", "640c1f")  # main, high, constrained high


def check(
    required: Iterable[tuple[Callable[..., Any], tuple[str, ...]]] = REQUIRED,
) -> None:
    """Nothing, or ImportError naming what has moved and the versions found."""
    for function, names in required:
        mentioned = _mentioned(inspect.unwrap(function).__code__)
        if moved := [name for name in names if name not in mentioned]:
            found = ", ".join(f"{p} {metadata.version(p)}" for p in _PACKAGES)
            place = function.__qualname__
            raise ImportError(f"{found}: {place} has no {moved[0]} any more")


def _mentioned(code: CodeType) -> set[str]:
    """Every name a function uses, its inner functions' too."""
    names = {*code.co_names, *code.co_varnames, *code.co_freevars}
    for constant in code.co_consts:
        if inspect.iscode(constant):
            names |= _mentioned(constant)
    return names


def know_more_h264_profiles() -> None:
    """Lets aiortc agree to H.264 main and high too: OBS and ffmpeg send them.

    It knows the baseline profiles only, for its own encoder; nothing is decoded by it
    here. May be called repeatedly.
    """
    video = CODECS["video"]
    for profile in _PROFILES:
        if any(c.parameters.get("profile-level-id") == profile for c in video):
            continue
        number = max(codec.payloadType or 0 for codec in video) + 1
        like = next(c for c in video if c.name == "H264")
        video.append(
            RTCRtpCodecParameters(
                mimeType=like.mimeType,
                clockRate=like.clockRate,
                payloadType=number,
                rtcpFeedback=list(like.rtcpFeedback),
                parameters={**like.parameters, "profile-level-id": profile},
            )
        )
        video.append(
            RTCRtpCodecParameters(
                mimeType="video/rtx",
                clockRate=like.clockRate,
                payloadType=number + 1,
                parameters={"apt": number},
            )
        )


def ice_connection(transport: RTCIceTransport) -> Connection:
    """The ICE agent under a transport, for its sockets and its pairs."""
    return transport._connection  # noqa: SLF001


def expect_candidates(gatherer: RTCIceGatherer) -> None:
    """Lets remote candidates be added again, after an ICE restart."""
    gatherer._remote_candidates_end = False  # noqa: SLF001


def lost_path(transport: RTCDtlsTransport) -> bool:
    """Whether the path under a transport broke, rather than its peer leaving."""
    return ice_connection(transport.transport)._closing  # noqa: SLF001


def put_receiver(transceiver: RTCRtpTransceiver, receiver: object) -> None:
    """Puts a receiver of our own in the place of aiortc's, which decodes."""
    transceiver._RTCRtpTransceiver__receiver = receiver  # type: ignore[attr-defined] # noqa: SLF001


def register(transport: RTCDtlsTransport, receiver: Any) -> None:  # noqa: ANN401
    """Lets a receiver of our own be told when the transport ends."""
    transport._rtp_router.register_receiver(receiver, [], [])  # noqa: SLF001


def unregister(transport: RTCDtlsTransport, receiver: Any) -> None:  # noqa: ANN401
    """The opposite of `register`."""
    transport._unregister_rtp_receiver(receiver)  # noqa: SLF001


def feedback_path(transceiver: RTCRtpTransceiver) -> tuple[Send, int]:
    """What sends RTCP to the peer, and the SSRC to send it from."""
    send = transceiver.receiver.transport._send_rtp  # noqa: SLF001
    return send, transceiver.sender._ssrc  # noqa: SLF001


def srtp(transport: RTCDtlsTransport) -> Session:
    """What decrypts the peer's packets; there once the transport is connected."""
    return transport._rx_srtp  # noqa: SLF001


def redirect(transport: RTCDtlsTransport, through: Callable[[Send], Send]) -> Send:
    """Lets what is sent go `through` something; what sent it before."""
    before = transport._send_rtp  # noqa: SLF001
    transport._send_rtp = through(before)  # type: ignore[assignment,method-assign] # noqa: SLF001
    return before


def overhear_rtcp(sender: Any, hear: HearRtcp) -> HearRtcp:  # noqa: ANN401
    """Lets `hear` have a sender's incoming RTCP; what it went to before."""
    before: HearRtcp = sender._handle_rtcp_packet  # noqa: SLF001
    sender._handle_rtcp_packet = hear  # noqa: SLF001
    return before


def send_encoded(sender: Any, following: Callable[[object], Awaitable[Any]]) -> None:  # noqa: ANN401
    """Lets a sender take pictures that are encoded already, one after another."""
    sender._next_encoded_frame = following  # noqa: SLF001


def running_for(connection: RTCPeerConnection) -> set[asyncio.Task[Any]]:
    """Tasks that `connection` has started and keeps no hold of (`__connect`)."""
    return {task for task in asyncio.all_tasks() if _owner(task) is connection}


def _owner(task: asyncio.Task[Any]) -> object:
    """The object whose method the task runs."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame.f_locals.get("self") if frame is not None else None
