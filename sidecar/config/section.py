"""What every section of a configuration file shares."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sidecar.domain import is_stream_id

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400 * 30)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


def checked_id(text: str) -> str:
    """`text`, or ValueError if it cannot be a stream (or site, or sidecar) id."""
    if not is_stream_id(text):
        raise ValueError("use 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -")
    return text


Id = Annotated[str, Field(min_length=1, max_length=128)]
