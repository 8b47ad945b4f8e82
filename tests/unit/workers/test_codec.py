"""Every message survives the wire; nothing else is taken for one."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import PictureFormat
from sidecar.errors import UnsupportedReason
from sidecar.ingest.receiver import IceServer, IceSettings
from sidecar.sample.audit import AuditSettings
from sidecar.sample.sampler import SamplerSettings
from sidecar.workers import calls, messages
from sidecar.workers.block import Region
from sidecar.workers.codec import MOST_BYTES, WireError, decode, encode
from sidecar.workers.messages import Message

ids = st.integers(0, 2**53)
seconds = st.floats(allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
faults = st.builds(
    calls.Fault,
    st.sampled_from(["unavailable", "unsupported", "malformed"]),
    texts,
    st.none() | seconds,
    st.none() | st.sampled_from(UnsupportedReason),
)
requests = st.one_of(
    st.just(calls.Offer()),
    st.builds(calls.AnswerTo, texts),
    st.builds(calls.Accept, texts),
    st.builds(calls.AddCandidates, texts),
    st.builds(calls.RestartIce, texts),
    st.builds(calls.WaitConnected, seconds),
    st.builds(
        calls.OpenFile,
        texts.filter(lambda text: "\0" not in text).map(Path),
        st.booleans(),
        st.booleans(),
    ),
    st.just(calls.Close()),
)
setups = st.builds(
    messages.Setup,
    worker=texts,
    log_format=st.sampled_from(["json", "console"]),
    log_level=texts,
    slots=ids,
    near=ids,
    decoders=ids,
    ice=st.just(
        IceSettings((IceServer(("stun:a",), "user", "secret"),), (5000, 6000), ("::1",))
    ),
    packet_timeout_s=seconds,
)
places = st.lists(st.tuples(ids, ids), max_size=3).map(tuple)
regions = st.builds(
    Region,
    ids,
    st.builds(PictureFormat, ids, ids, texts, texts, seconds, ids),
    ids,
)
changes = st.builds(
    messages.Change, texts, st.dictionaries(texts, texts, max_size=2), seconds
)
everything = st.one_of(
    setups,
    st.builds(messages.Show, st.lists(regions, max_size=3).map(tuple)),
    st.builds(calls.Call, ids, ids, texts, requests),
    st.builds(
        messages.NewSampler,
        ids,
        texts,
        st.just(SamplerSettings(audit=AuditSettings(None))),
    ),
    st.builds(messages.Observe, ids, seconds),
    st.builds(messages.Burst, ids),
    st.builds(messages.Pace, ids, seconds),
    st.builds(messages.DropSampler, ids),
    st.builds(messages.Look, ids, ids, ids),
    st.builds(messages.Next, ids),
    st.builds(messages.LookAway, ids),
    st.builds(messages.Release, places),
    st.just(messages.Stop()),
    st.builds(messages.Hello, ids, texts),
    st.builds(calls.Answer, ids, st.none() | texts),
    st.builds(calls.Refusal, ids, faults),
    st.builds(
        messages.Taken,
        ids,
        places,
        seconds,
        seconds,
        seconds,
        seconds,
    ),
    st.builds(messages.Over, ids, st.none() | faults),
    st.builds(
        messages.Beat,
        st.lists(changes, max_size=3).map(tuple),
        st.lists(ids).map(tuple),
    ),
)


@given(everything)
def test_a_message_survives_the_wire(message: Message) -> None:
    """What is decoded equals what was encoded, types included."""
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(body: bytes) -> None:
    """Nothing but WireError comes out."""
    with suppress(WireError):
        decode(body)


@given(everything, st.data())
def test_a_message_with_another_key_or_type_is_none(
    message: Message, data: st.DataObject
) -> None:
    """Strict: an unknown key, a text for a number, a number for a text: refused."""
    whole = json.loads(encode(message))
    key = data.draw(st.sampled_from(sorted(whole)))
    value = whole[key]
    foreign = "1" if isinstance(value, int | float) else {"no": "thing"}
    for broken in ({**whole, "more": 1}, {**whole, key: foreign}):
        with pytest.raises(WireError):
            decode(json.dumps(broken).encode())


def test_what_is_too_long_is_not_sent() -> None:
    """The other side would refuse it, and take the channel for broken."""
    with pytest.raises(WireError, match="beyond"):
        encode(calls.Answer(1, "x" * MOST_BYTES))


def test_secrets_are_not_shown() -> None:
    """A message in a log or traceback tells no credential and no session."""
    ice = IceSettings((IceServer(("turn:a",), "user", "secret"),))
    setup = messages.Setup("w", "json", "info", 1, 1, 1, ice, 1.0)
    offer = calls.Call(1, 1, "s", calls.AnswerTo("a=ice-pwd:secret"))
    answer = calls.Answer(1, "a=ice-pwd:secret")
    assert "secret" not in f"{setup!r} {offer!r} {answer!r}"
