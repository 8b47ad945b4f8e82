"""The laws of the chain: what holds is found to hold, any change is found."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.audit.chain import (
    MAX_LINE,
    START,
    Deed,
    Entry,
    chained,
    from_line,
    is_hash,
    to_line,
    verify,
)

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_TEXT = st.text(max_size=20)
DEEDS = st.builds(
    Deed,
    actor=_TEXT,
    role=_TEXT,
    act=_TEXT,
    about=_TEXT,
    detail=st.dictionaries(_TEXT, _PLAIN, max_size=3),
)


def chain_of(*deeds: Deed) -> list[Entry]:
    """The deeds in a chain."""
    entries: list[Entry] = []
    for number, deed in enumerate(deeds, start=1):
        prev = entries[-1].hash if entries else START
        entries.append(chained(deed, "2026-01-01T00:00:00.000Z", number, prev))
    return entries


def deed(act: str = "policy.apply") -> Deed:
    """A deed of some kind."""
    return Deed("desk1", "operator", act, "v2", {"reason": "too many"})


@given(st.lists(DEEDS, max_size=5))
def test_what_was_chained_is_found_to_hold(deeds: list[Deed]) -> None:
    """Each entry is read as it was written, and the head is the last one's hash."""
    entries = chain_of(*deeds)
    lines = [to_line(entry) for entry in entries]
    assert [from_line(line) for line in lines] == entries
    found = verify(lines)
    assert (found.entries, found.fault) == (len(deeds), None)
    assert found.head == (entries[-1].hash if entries else START)


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    """One byte made another one: the fault names that line, or the one after it."""
    lines = [to_line(entry) for entry in chain_of(deed("a"), deed("b"), deed("c"))]
    line = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(lines[line]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != lines[line][at]))
    lines[line] = lines[line][:at] + bytes([byte]) + lines[line][at + 1 :]
    found = verify(lines)
    assert found.fault is not None
    assert found.fault.startswith(f"line {line + 1} ")
    assert found.entries == line


@pytest.mark.parametrize("left_out", [0, 1])
def test_an_entry_left_out_is_found(left_out: int) -> None:
    """All but the last, which only a head noted elsewhere tells."""
    lines = [to_line(entry) for entry in chain_of(deed("a"), deed("b"), deed("c"))]
    del lines[left_out]
    assert verify(lines).fault is not None


def test_an_entry_of_another_chain_is_found() -> None:
    """Its number may be right; it does not follow the one above."""
    ours = [to_line(entry) for entry in chain_of(deed("a"), deed("b"))]
    theirs = [to_line(entry) for entry in chain_of(deed("x"), deed("y"))]
    assert verify([ours[0], theirs[1]]).fault == (
        "line 2 does not follow the one above"
    )


def test_each_kind_of_broken_line_says_what_is_wrong() -> None:
    """Torn, overlong, not JSON, other keys, other types, other spelling, changed."""
    entry = chain_of(deed())[0]
    line = to_line(entry)
    value = json.loads(line)

    def spelt(**over: object) -> bytes:
        whole = {**value, **over}
        return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    for broken, why in {
        line[:-1]: "has no end; it was torn",
        b"[" * MAX_LINE + b"\n": f"longer than {MAX_LINE} bytes",
        b"[" * 60_000 + b"\n": "is not JSON",
        b"\xff\n": "is not JSON",
        b"[]\n": "has other keys or types than an entry",
        b"{}\n": "has other keys or types than an entry",
        spelt(seq="1"): "has other keys or types than an entry",
        spelt(seq=True): "has other keys or types than an entry",
        spelt(detail=[]): "has other keys or types than an entry",
        spelt(at=None): "has other keys or types than an entry",
        line.replace(b",", b", ", 1): "is not in canonical form",
        spelt(actor="mallory"): "does not have the hash it says: it was changed",
    }.items():
        with pytest.raises(ValueError, match=why):
            from_line(broken)


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_give_an_answer(lines: list[bytes]) -> None:
    """A foreign file is a report, never a crash."""
    found = verify(lines)
    assert found.entries <= len(lines)
    assert is_hash(found.head)


def test_a_hash_has_64_hex_digits() -> None:
    """Nothing else is taken for one."""
    assert is_hash(START)
    assert not is_hash(START[1:])
    assert not is_hash("g" * 64)
