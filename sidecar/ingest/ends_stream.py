"""What an error in the packet path does: it ends its stream, and nothing else."""

from types import TracebackType

from sidecar.errors import StreamError, StreamUnavailable
from sidecar.ingest.buffer import AccessUnitBuffer
from sidecar.log import get_logger

log = get_logger(__name__)


def _place(error: BaseException) -> str:
    """File and line at which it was raised; read from no file, as a traceback is."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


class EndsStream:
    """A context in which any error ends the stream, with its reason, and no more.

    An exception that gets as far as aiortc's transport would kill its task, silently.
    """

    def __init__(self, stream_id: str, buffer: AccessUnitBuffer) -> None:
        self._stream_id = stream_id
        self._buffer = buffer

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if isinstance(error, StreamError):
            self._buffer.fail(error)
            return True
        log.error(
            "packet_path_failed",
            stream=self._stream_id,
            error=type(error).__name__,
            at=_place(error),
        )
        failure = StreamUnavailable(
            self._stream_id, f"{type(error).__name__} while receiving packets"
        )
        failure.__cause__ = error
        self._buffer.fail(failure)
        return True
