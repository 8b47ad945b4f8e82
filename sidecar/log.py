"""Structured logs: events, not sentences; the one home of structlog.

Secrets never reach a log, whoever logs: values under secret-like keys are masked at
any depth, and in every text, tracebacks too, bearer tokens, `key=secret` pairs and the
user part and query of URLs are cut. One event is one line: control characters of
foreign text are escaped, and what is very long is cut.
"""

import logging
import math
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

LogFormat = Literal["json", "console"]

_MASK: Final = "[redacted]"
_MAX_CHARS: Final = 16_384  # a deep traceback is about 8,000
_MAX_DEPTH: Final = 6
_MAX_ITEMS: Final = 64
_MULTILINE: Final = frozenset({"exception", "stack"})

_MASKED_WORDS: Final = (
    r"token|password|passwd|secret|authorization|credential|cookie"
    r"|(?:api|private|access|signing)[-_]?key|ice[-_]pwd"
)
_SECRET_KEY: Final = re.compile(rf"(?i)(?:{_MASKED_WORDS})(?!_file$)")
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9+/=._~:-]{8,}")
_PAIR: Final = re.compile(
    rf"(?i)((?:{_MASKED_WORDS})[\"']?\s{{0,8}}[:=]\s{{0,8}})"
    r"(?!\[redacted\])"
    r"((?:Bearer|Basic|Digest)\s+[^\s\"',;]+|\"[^\"]*\"|'[^']*'|[^\s\"',;&)}\]]+)"
)
_URL: Final = re.compile(r"(?<=://)[^\s\"'<>]+")
_QUERY: Final = re.compile(r"[?#]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)


def redact_text(text: str) -> str:
    """`text` without bearer tokens, `key=secret` pairs, URL users and URL queries."""
    text = _PAIR.sub(rf"\1{_MASK}", text)
    text = _SCHEME.sub(rf"\1 {_MASK}", text)
    return _URL.sub(_bare_url, text)


def _bare_url(match: re.Match[str]) -> str:
    url, *query = _QUERY.split(match.group(), maxsplit=1)
    authority, slash, path = url.partition("/")
    _, user, host = authority.rpartition("@")
    return "".join(
        (f"{_MASK}@" if user else "", host, slash, path, f"?{_MASK}" if query else "")
    )


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor that masks secrets and makes one line of an event."""
    return {
        _safe_text(key, lines=False): _safe(key, value, 0)
        for key, value in event.items()
    }


def _safe(key: str, value: object, depth: int) -> object:
    if _SECRET_KEY.search(key) and value is not None:
        return _MASK
    if isinstance(value, Mapping):
        return _safe_mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return _safe_items(key, list(value), depth)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _safe_text(_text_of(value), lines=key in _MULTILINE and depth == 0)


def _safe_mapping(value: Mapping[Any, Any], depth: int) -> object:
    if depth >= _MAX_DEPTH:
        return "…"
    shown = list(value.items())[:_MAX_ITEMS]
    return {
        _safe_text(str(key), lines=False): _safe(str(key), inner, depth + 1)
        for key, inner in shown
    }


def _safe_items(key: str, items: list[Any], depth: int) -> object:
    if depth >= _MAX_DEPTH:
        return "…"
    return [_safe(key, item, depth + 1) for item in items[:_MAX_ITEMS]]


def _text_of(value: object) -> str:
    if isinstance(value, str | BaseException):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"  # an SDP, a key, a picture: none is for a log
    return repr(value)


def _safe_text(text: str, *, lines: bool) -> str:
    if len(text) > _MAX_CHARS:
        text = f"{text[:_MAX_CHARS]}…[{len(text) - _MAX_CHARS} more]"
    control = _CONTROL_BUT_LINES if lines else _CONTROL
    return control.sub(_escaped, redact_text(text))


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "surrogatepass").decode("ascii")


def _rename_logger(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if "logger_name" in event:
        event["logger"] = event.pop("logger_name")
    return event


class _Output:
    """A text stream whose failure (a closed pipe, a full disk) ends no stream watch."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # ValueError: the stream was closed
            return 0

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


def setup(
    form: LogFormat = "console", level: str = "info", stream: TextIO | None = None
) -> None:
    """Sends all logs, the standard library's too, to `stream` (default stderr).

    Libraries speak from `warning` up, whatever the level.
    """
    out = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _rename_logger,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    tail = _tail(form, colors=out.isatty())
    output: Any = _Output(out)  # typed Any: structlog asks for a whole TextIO
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *tail,
            ],
        )
    )
    _take_over(handler, max(number, logging.WARNING))


def _tail(form: LogFormat, *, colors: bool) -> list[Processor]:
    """From an event with its exception to the finished line, redaction inside."""
    before: list[Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    if form == "json":
        return [*before, structlog.processors.JSONRenderer()]
    plain = structlog.dev.plain_traceback  # the pretty one prints local variables
    renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
    return [*before, renderer]


def _take_over(handler: logging.Handler, level: int) -> None:
    """Every logger of the standard library ends at `handler` and nowhere else."""
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in list(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


def bind(**facts: str) -> None:
    """Every line of this context, and of tasks begun in it, carries `facts`."""
    structlog.contextvars.bind_contextvars(**facts)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry `logger=name`."""
    # `logger=` itself is a parameter of structlog's, hence the renaming below.
    log: FilteringBoundLogger = structlog.get_logger(logger_name=name)
    return log
