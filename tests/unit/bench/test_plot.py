"""The drawing of CPU against streams: an SVG that shows every row."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from sidecar.bench.plot import Axis, draw
from sidecar.bench.rows import Round

ROW = Round("sidecar-keyframes", "vp8", 1, 6.0, 0.3, 3, 3, None, 1.0)
SVG = "{http://www.w3.org/2000/svg}"


def test_each_receiver_and_codec_is_a_line_with_its_name() -> None:
    """A dot for each number of streams, in order; the name in the legend."""
    rows = [
        replace(ROW, receiver=receiver, codec=codec, streams=streams)
        for receiver in ("sidecar-keyframes", "obvious")
        for codec in ("vp8", "h264")
        for streams in (10, 1)
    ]
    drawn = ET.fromstring(draw(rows))  # noqa: S314 - our own
    words = [text.text for text in drawn.iter(f"{SVG}text")]
    assert {"obvious, vp8", "sidecar-keyframes, h264", "streams at once"} <= set(words)
    assert len(list(drawn.iter(f"{SVG}circle"))) == len(rows)
    lines = [line.attrib["points"].split() for line in drawn.iter(f"{SVG}polyline")]
    paths = [line for line in lines if len(line) == 2]
    assert all(float(a.split(",")[0]) < float(b.split(",")[0]) for a, b in paths)


@given(
    st.lists(
        st.builds(
            replace,
            st.just(ROW),
            receiver=st.text("ab<&", min_size=1),
            streams=st.integers(1, 500),
            cpu_percent_per_stream=st.floats(0, 100),
        ),
        max_size=20,
    )
)
def test_any_rows_are_drawn_within_the_frame(rows: list[Round]) -> None:
    """Well-formed whatever the names and numbers; no dot outside."""
    drawn = ET.fromstring(draw(rows))  # noqa: S314 - our own
    for dot in drawn.iter(f"{SVG}circle"):
        assert 63 < float(dot.attrib["cx"]) < 531
        assert 23 < float(dot.attrib["cy"]) < 373
    numbers = [text for text in map(_words, drawn) if re.fullmatch(r"[\de+-]+", text)]
    assert len(numbers) >= 2


def _words(element: ET.Element) -> str:
    return element.text or ""


@given(st.lists(st.floats(1e-3, 1e6), min_size=1), st.data())
def test_an_axis_keeps_the_order(values: list[float], data: st.DataObject) -> None:
    """What is more lies no less far along."""
    axis = Axis.of(values, 0, 100)
    one, two = (data.draw(st.sampled_from(values)) for _ in range(2))
    assert (one <= two) == (axis.at(one) <= axis.at(two)) or one == two
    assert -1e-6 <= axis.at(one) <= 100 + 1e-6
