"""A minified literal is read as data, and nothing else is."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ManifestError
from sidecar.models.js_literal import MAX_DEPTH, exported

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(-1e9, 1e9)
    # JSON allows U+2028 and the rest of Unicode inside a text, as JavaScript does
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
SYNTAX = st.text(alphabet="{}[]:,\"'\\ !01.e-+ntuxvoid;.exports=\n", max_size=40)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("{a:1,b_$2:[!0,!1,null,true,false]}", {"a": 1, "b_$2": [1, 0, None, 1, 0]}),
        ("[.0326,-.5,1e3,2.,-1E-2,0,7]", [0.0326, -0.5, 1000.0, 2.0, -0.01, 0, 7]),
        ("""["a'b",'a"b',"\\"\\\\\\n\\u0041\\x42\\/"]""", ["a'b", 'a"b', '"\\\nAB/']),
        ('{"quoted key":void 0}', {"quoted key": None}),
        (" \n{ } ", {}),
        ("[]", []),
        ("12345678901234567890", 12345678901234567890.0),
    ],
)
def test_what_a_minifier_writes_is_read(literal: str, value: Any) -> None:  # noqa: ANN401
    """Keys without quotes, short booleans, short numbers, both kinds of quotes."""
    assert exported(f"!function(){{module.exports={literal}}}();") == value


def test_the_last_export_counts() -> None:
    """The bundler's own wrapper exports as well."""
    text = 'module.exports=e();function(){module.exports={k:"last"}},{}]},{},[1])(1)});'
    assert exported(text) == {"k": "last"}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "exports={}",
            ".exports=",
            ".exports=}",
            ".exports=f()",
            ".exports={a:b}",
        ),
        *(
            ".exports=`x`",
            ".exports={a}",
            ".exports={a:1,a:2}",
            ".exports=[1",
            "=[1 2]",
        ),
        *('.exports="a\nb"', '.exports="\\u12"', '.exports="\\1"', ".exports='a"),
        *(".exports=1+1}", ".exports={}x", '.exports="a"+"b"', ".exports={a:1,}"),
        *(
            ".exports=[,]",
            ".exports=-",
            ".exports=NaN",
            ".exports={1:2}",
            '.exports="\\ud800"',
        ),
        f".exports={'[' * (MAX_DEPTH + 2)}",
    ],
)
def test_what_is_no_literal_is_refused(text: str) -> None:
    """Names, calls, operators, templates and torn texts are errors that say where."""
    with pytest.raises(ManifestError):
        exported(text)


def test_there_are_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many values are refused before memory is gone."""
    monkeypatch.setattr("sidecar.models.js_literal.MAX_VALUES", 10)
    with pytest.raises(ManifestError, match="too many values"):
        exported(f".exports=[{'1,' * 20}1]")


@given(VALUES)
def test_json_is_read_as_json(value: Any) -> None:  # noqa: ANN401
    """JSON is a part of the language; the value comes back the same."""
    text = json.dumps(value, allow_nan=False)
    assert exported(f"x.exports={text};") == json.loads(text)


@given(SYNTAX | st.text(max_size=40))
def test_any_text_is_a_value_or_the_error(text: str) -> None:
    """Nothing else is ever raised, nor does it run on for ever."""
    with suppress(ManifestError):
        exported(f".exports={text}")
