"""What must hold of the words of the house."""

import dataclasses
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import domain
from sidecar.domain import (
    ActionKind,
    Category,
    Codec,
    LabelScore,
    ModelRef,
    PictureFormat,
    Sample,
    Scores,
    SourceKind,
    Stream,
    StreamState,
    UnknownReason,
    VerdictState,
    is_stream_id,
)


@pytest.mark.parametrize("text", ["a", "studio-7", "A.b_c~d-9", "x" * 128, "..", "0"])
def test_stream_ids_that_are_fine(text: str) -> None:
    """Letters, digits and four signs, up to 128 of them."""
    assert is_stream_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 129,
        "a/b",
        "a+b",
        "#",
        "a b",
        "a\n",
        "\n",
        "a\x00",
        "é",
        "a%2fb",
        "$SYS",
    ],
)
def test_stream_ids_that_are_not(text: str) -> None:
    """Nothing that means something in a topic, a path or a log line gets through."""
    assert not is_stream_id(text)


@given(st.text())
def test_an_accepted_id_is_safe_everywhere(text: str) -> None:
    """Whatever is accepted: ASCII, one topic level, no wildcard, one path segment."""
    if is_stream_id(text):
        assert text.isascii()
        assert text.isprintable()
        assert not set(text) & set("+#/\\ $?%&\x00")
        assert 1 <= len(text) <= 128


@pytest.mark.parametrize(
    "words",
    [ActionKind, Category, Codec, SourceKind, StreamState, UnknownReason, VerdictState],
)
def test_words_that_are_published_are_plain(words: type[StrEnum]) -> None:
    """Every value fits a topic level, a metric label and a JSON enum unescaped."""
    for word in words:
        assert is_stream_id(word.value)


def test_no_category_claims_what_a_classifier_cannot_know() -> None:
    """`csea.*` needs provenance; a generic model has no word for it."""
    assert not [c for c in Category if c.value.startswith("csea")]


def test_unknown_is_a_state_of_its_own() -> None:
    """Not having been seen is neither clear nor violating, and names its reason."""
    assert {v.value for v in VerdictState} == {"clear", "violating", "unknown"}
    needed = {
        "no_frames",
        "undecodable_codec",
        "end_to_end_encrypted",
        "engine_error",
        "overloaded",
        "stale",
    }
    assert needed <= {r.value for r in UnknownReason}


def test_values_are_frozen() -> None:
    """What flows between the stages cannot be changed on its way."""
    classes = [
        found
        for found in vars(domain).values()
        if isinstance(found, type) and dataclasses.is_dataclass(found)
    ]
    assert classes
    for found in classes:
        assert found.__dataclass_params__.frozen, found  # type: ignore[attr-defined]


def test_a_streams_default_labels_cannot_be_written() -> None:
    """The default mapping is shared, hence read-only."""
    stream = Stream("a", SourceKind.WHEP)
    with pytest.raises(TypeError):
        stream.labels["a"] = "b"  # type: ignore[index]


def test_a_sample_as_each_model_sees_it() -> None:
    """Each format gets its picture; one it was not scaled to is None, not another's."""
    wide, small = PictureFormat(16, 8), PictureFormat(8, 8)
    first, other = np.zeros((8, 16, 3), np.uint8), np.ones((8, 8, 3), np.uint8)
    sample = Sample("s", first, 1.0, 2.0, fmt=wide, others={small: other})
    assert sample.seen_as(wide) is sample
    seen = sample.seen_as(small)
    assert seen is not None
    assert seen.picture is other
    assert (seen.fmt, dict(seen.others), seen.captured_at) == (small, {}, 1.0)
    assert sample.seen_as(PictureFormat(8, 8, "area")) is None
    only = Sample("s", first, 1.0, 2.0)
    assert only.seen_as(small) is only


def test_a_score_has_a_model() -> None:
    """The one that gave it; without a word of its own, the only one."""
    a, b = ModelRef("a", "sha256:a"), ModelRef("b", "sha256:b")
    by = {Category.SAFE: LabelScore(1, "x"), Category.DRUGS: LabelScore(0, "y", b)}
    scores = Scores("s", by, a, 0.0, others=(b,))
    assert scores.models == (a, b)
    given_by = [scores.model_of(c) for c in (Category.SAFE, Category.DRUGS)]
    assert given_by == [a, b]
    assert scores.model_of(Category.OTHER) == a
