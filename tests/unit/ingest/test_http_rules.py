"""Header values read as the RFCs have them; credentials kept at home."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import StreamError, StreamUnavailable, StreamUnsupported
from sidecar.ingest import http_rules

_NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("9" * 400, http_rules._LARGEST_RETRY_S),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    """Seconds and HTTP-dates are both understood; anything else is no wish."""
    assert http_rules.retry_after_s(value, _NOW) == expected


@given(st.text())
def test_retry_after_takes_anything(value: str) -> None:
    """Any text is a number of seconds that is not negative, or None."""
    wish = http_rules.retry_after_s(value, _NOW)
    assert wish is None or wish >= 0.0


@pytest.mark.parametrize(
    ("there", "allowed"),
    [
        ("http://a.example/other", True),
        ("http://a.example:80/other", True),
        ("http://A.EXAMPLE/other", True),
        ("https://a.example/other", True),
        ("http://a.example:81/other", False),
        ("http://b.example/other", False),
        ("http://a.example.b.example/", False),
        ("ftp://a.example/", False),
        ("http:///nohost", False),
        ("http://a.example:99999/", False),
        ("http://[broken/", False),
    ],
)
def test_may_follow(there: str, *, allowed: bool) -> None:
    """Credentials go to the same origin or its step up to https, nowhere else."""
    assert http_rules.may_follow("http://a.example/whep", there) is allowed


def test_never_down_to_http() -> None:
    """What was sent under TLS is not sent again without."""
    assert not http_rules.may_follow("https://a.example/x", "http://a.example/x")


@given(st.text(), st.text())
def test_may_follow_takes_anything(here: str, there: str) -> None:
    """Any two texts get a plain answer."""
    assert http_rules.may_follow(here, there) in {True, False}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:pw@a.example:8443/w?token=x#y", "https://a.example:8443/w"),
        ("http://[::1]:80/w", "http://[::1]:80/w"),
        ("http://[broken", "(unreadable URL)"),
        ("", "://"),
    ],
)
def test_shown(url: str, expected: str) -> None:
    """A URL is shown without user, password, query and fragment."""
    assert http_rules.shown(url) == expected


@pytest.mark.parametrize("status", [401, 403])
def test_token_refusals_are_retried_slowly(status: int) -> None:
    """A person has to mend the token, so the client does not hammer; it says so."""
    error = http_rules.refusal("cam", status, None)
    assert isinstance(error, StreamUnavailable)
    assert error.retry_after_s == 60.0
    assert "token" in error.message


@pytest.mark.parametrize("status", [404, 408, 409, 425, 429, 500, 502, 503, 504])
def test_passing_refusals(status: int) -> None:
    """What may pass is tried again, when the server says if it says."""
    error = http_rules.refusal("cam", status, 7.0)
    assert isinstance(error, StreamUnavailable)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize("status", [204, 301, 400, 405, 406, 410, 415, 422, 501, 505])
def test_lasting_refusals(status: int) -> None:
    """What will not change by asking again is unsupported, and names the status."""
    error: StreamError = http_rules.refusal("cam", status, None)
    assert isinstance(error, StreamUnsupported)
    assert str(status) in error.message


def test_small_readers() -> None:
    """Header names and schemes ignore case; weak tags and other schemes do not pass."""
    assert http_rules.header({"b": "", "Content-TYPE": " a "}, "content-type") == "a"
    assert http_rules.header({}, "x") is None
    assert http_rules.media_type("Application/SDP; charset=utf-8") == "application/sdp"
    assert http_rules.media_type(None) == ""
    assert http_rules.bearer_token("bearer  abc ") == "abc"
    assert http_rules.bearer_token("Basic abc") is None
    assert http_rules.bearer_token("Bearer ") is None
    assert http_rules.bearer_token(None) is None
    assert http_rules.same_token("ä\udc80", "ä\udc80")
    assert not http_rules.same_token("a", "b")
    assert http_rules.entity_tags('"a", W/"b"') == {'"a"', 'W/"b"'}
