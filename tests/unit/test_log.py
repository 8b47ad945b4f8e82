"""What must hold of logs: one line an event, and never a secret in it."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sidecar import log
from sidecar.log import LogFormat, get_logger, redact, redact_text, setup

SECRET = "s3cr3t-hunter2-abcdef"  # noqa: S105 the thing that must not be seen


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """What `setup` changes for the whole process is put back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _start(form: LogFormat = "json", level: str = "info") -> io.StringIO:
    out = io.StringIO()
    setup(form, level, out)
    return out


def _only_line(out: io.StringIO) -> dict[str, Any]:
    (line,) = out.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_json_line_carries_event_level_logger_and_utc_time() -> None:
    """One event is one JSON object with what a log store needs to sort by."""
    out = _start()
    get_logger("sidecar.x").info("stream_live", stream="a", age_s=1.5, n=2, ok=True)
    line = _only_line(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "stream_live",
        "level": "info",
        "logger": "sidecar.x",
        "stream": "a",
        "age_s": 1.5,
        "n": 2,
        "ok": True,
    }


def test_console_line_reads_without_colours_into_a_file() -> None:
    """No escape sequences where nobody looks at a terminal."""
    out = _start("console")
    get_logger("sidecar.x").info("stream_live", stream="a")
    (line,) = out.getvalue().splitlines()
    assert "stream_live" in line
    assert "stream=a" in line
    assert "\x1b" not in line


def test_level_hides_what_is_below() -> None:
    """`warning` keeps `info` out."""
    out = _start(level="warning")
    get_logger("x").info("quiet")
    get_logger("x").warning("loud")
    assert _only_line(out)["event"] == "loud"


def test_unknown_level_is_a_key_error() -> None:
    """A level that does not exist is not silently `info`."""
    with pytest.raises(KeyError):
        setup("json", "chatty", io.StringIO())


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "fields",
    [
        {"token": SECRET},
        {"Authorization": f"Bearer {SECRET}"},
        {"headers": {"authorization": f"Bearer {SECRET}"}},
        {"settings": {"mqtt": [{"password": SECRET}]}},
        {"tokens": [SECRET, SECRET]},
        {"stream_tokens": {"studio": SECRET}},
        {"url": f"https://user:{SECRET}@host/whep"},
        {"url": f"mqtts://user:a@{SECRET}@host"},
        {"urls": (f"https://host/whep?token={SECRET}",)},
        {"message": f"GET https://host/p?access={SECRET}#x failed"},
        {"message": f"sent Authorization: Bearer {SECRET}, got 401"},
        {"message": f"sent authorization: Basic {SECRET}"},
        {"message": f"password={SECRET}"},
        {"message": f"a=ice-pwd:{SECRET}"},
        {"message": f'{{"api_key": "{SECRET} and more {SECRET}"}}'},
        {"error": ValueError(f"bad token: '{SECRET}'")},
        {"thing": type("T", (), {"__repr__": lambda _: f"T(password='{SECRET}')"})()},
        {"body": SECRET.encode()},
        {"body": bytearray(SECRET.encode())},
        {f"https://u:{SECRET}@h/": 1},
    ],
)
def test_secrets_never_show(form: LogFormat, fields: dict[str, Any]) -> None:
    """Whatever the shape a secret comes in, its text is not in the line."""
    out = _start(form)
    get_logger("x").info("event", **fields)
    assert SECRET not in out.getvalue()
    assert "event" in out.getvalue()


def test_what_is_no_secret_stays_readable() -> None:
    """Redaction leaves hosts, paths, names of token files and plain words alone."""
    out = _start()
    get_logger("x").info(
        "event",
        url="https://media.example:8443/room/whep",
        token_file="studio-7",  # noqa: S106 a file's name
        password=None,
        keyframe=True,
        note="basic policy",
    )
    line = _only_line(out)
    assert line["url"] == "https://media.example:8443/room/whep"
    assert line["token_file"] == "studio-7"  # noqa: S105
    assert line["password"] is None
    assert line["keyframe"] is True
    assert line["note"] == "basic policy"


@pytest.mark.parametrize("form", ["json", "console"])
def test_exception_text_is_redacted_and_locals_are_not_printed(form: LogFormat) -> None:
    """A traceback is kept, the secrets in its message and frames are not."""
    out = _start(form)
    try:
        int(f"https://u:{SECRET}@host/x?key={SECRET}")
    except ValueError:
        get_logger("x").exception("request_failed")
    assert SECRET not in out.getvalue()
    assert "Traceback" in out.getvalue()
    assert "ValueError" in out.getvalue()


def test_stack_is_rendered_as_text() -> None:
    """`stack_info=True` gives the stack, in one JSON line."""
    out = _start()
    get_logger("x").info("here", stack_info=True)
    assert "test_log.py" in _only_line(out)["stack"]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("name", ["uvicorn.error", "aiortc.rtcpeer", "amqtt.broker"])
def test_libraries_go_the_same_way(form: LogFormat, name: str) -> None:
    """A library's warning is formatted and redacted like ours; its info is not kept."""
    library = logging.getLogger(name)
    library.addHandler(logging.StreamHandler(io.StringIO()))
    library.propagate = False
    out = _start(form)
    library.info("chatter")
    library.warning("refused %s with %s", "u", f"Bearer {SECRET}")
    assert SECRET not in out.getvalue()
    assert "refused u with Bearer [redacted]" in out.getvalue()
    assert "chatter" not in out.getvalue()
    assert name in out.getvalue()
    assert not library.handlers


def test_a_librarys_exception_is_redacted() -> None:
    """`logger.exception` of a library keeps its traceback, without the secret."""
    out = _start()
    try:
        int(f"password={SECRET}")
    except ValueError:
        logging.getLogger("aiortc").exception("closed")
    line = _only_line(out)
    assert SECRET not in line["exception"]
    assert "ValueError" in line["exception"]
    assert line["logger"] == "aiortc"


def test_warnings_are_logged() -> None:
    """A Python warning becomes a line like any other."""
    out = _start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("an old habit", stacklevel=1)
    assert "an old habit" in _only_line(out)["event"]


def test_foreign_text_cannot_forge_a_line_or_move_the_cursor() -> None:
    """Line breaks and escape sequences inside a value are escaped."""
    out = _start("console")
    get_logger("x").info("ev\nent", peer="a\r\nfake line\x1b[2J\u2028\ud800")
    (line,) = out.getvalue().splitlines()
    assert "\x1b" not in line
    assert "fake line" in line
    out.getvalue().encode()


def test_long_values_are_cut_and_say_so() -> None:
    """One event cannot fill the disk."""
    out = _start()
    get_logger("x").info("event", sdp="x" * 100_000, many=list(range(1000)))
    line = _only_line(out)
    assert len(line["sdp"]) < 17_000
    assert "more]" in line["sdp"]
    assert len(line["many"]) == 64


def test_deep_and_cyclic_values_end() -> None:
    """A value that contains itself is cut, not followed for ever."""
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    ring: list[Any] = []
    ring.append(ring)
    out = _start()
    get_logger("x").info("event", cycle=cycle, ring=ring, odd=float("nan"))
    line = _only_line(out)
    assert "…" in json.dumps(line, ensure_ascii=False)
    assert line["odd"] == "nan"


class _Broken(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("broken", [_Broken(), None])
def test_a_log_that_cannot_be_written_stops_nothing(broken: io.StringIO | None) -> None:
    """A closed pipe or file under the log is no reason to stop watching streams."""
    out = broken or io.StringIO()
    setup("json", "info", out)
    if broken is None:
        out.close()
    get_logger("x").info("event")
    logging.getLogger("lib").warning("event")


@given(st.text(max_size=200))
def test_redaction_settles(text: str) -> None:
    """Redacting twice is redacting once."""
    once = redact_text(text)
    assert redact_text(once) == once


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_value_becomes_strict_json(value: object) -> None:
    """Whatever is logged, the line is strict JSON that any reader accepts."""
    event = redact(None, "info", {"event": "x", "value": value})
    json.dumps(event, allow_nan=False).encode()


def test_get_logger_works_before_setup() -> None:
    """Importing a module that makes its logger at import time needs no set-up."""
    assert log.get_logger("x") is not None
