"""Messages to bytes and back: strict JSON; pure.

Whoever changes a message raises `VERSION`: a worker that was started from newer files
than the sidecar's is not spoken to.
"""

from typing import Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from sidecar.errors import SidecarError
from sidecar.workers.messages import Message

VERSION: Final = 2
MOST_BYTES: Final = 1 << 20  # a session description is some kilobytes


class WireError(SidecarError):
    """A message is malformed, too long or of another version."""


_STRICT: Final = ConfigDict(
    extra="forbid", strict=True, ser_json_inf_nan="constants", allow_inf_nan=True
)
_MESSAGE: Final[TypeAdapter[Message]] = TypeAdapter(
    Annotated[Message, Field(discriminator="kind")], config=_STRICT
)


def encode(message: Message) -> bytes:
    """JSON, in UTF-8. Raises WireError if it is too long."""
    body = _MESSAGE.dump_json(message)
    if len(body) > MOST_BYTES:
        raise WireError(f"a {message.kind} of {len(body)} bytes, beyond {MOST_BYTES}")
    return body


def decode(body: bytes) -> Message:
    """The message in `body`. Raises WireError for anything else."""
    try:
        return _MESSAGE.validate_json(body)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False)[0]
        raise WireError(f"no message: {fault['msg']}") from None
