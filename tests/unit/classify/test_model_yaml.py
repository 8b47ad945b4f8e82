"""`model.yaml` as untrusted text: any bytes are a card or a told fault."""

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.classify import model_yaml
from sidecar.classify.manifest import FILE_NAME, Manifest, load
from sidecar.errors import ManifestError
from tests.fakes.onnx_models import CARD

DATA = b"not looked into here"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "must be a mapping"),
        (b"- a\n- b", "must be a mapping"),
        (b"1: 2", "must be a mapping of keys"),
        (b"a: [1", "line 1"),
        (b"\xff\xfe\x00", "mend the YAML"),
        (b"a: &x 1\nb: *x", "line 2, column 4: aliases"),
        (b"a: 1\na: 2", "line 2, column 1: the key 'a' stands twice"),
        (b"a: !!python/object:os.system {}", "line 1"),
        (b"a: 2026-99-99", "not readable as YAML"),
        (b"a: " + b"9" * 5000, "not readable as YAML"),
        (b"a: !!int ''", "not readable as YAML"),
        (b"a: !!bool maybe", "not readable as YAML"),
        (b"a: !!timestamp x", "not readable as YAML"),
        (b"[" * 5000, "nested too deeply"),
        (b"a: b\n" * 20000, "larger than 64 KiB"),
    ],
)
def test_hostile_yaml_is_told(tmp_path: Path, text: bytes, told: str) -> None:
    """Broken, oversized, self-repeating YAML: a ManifestError, never another one."""
    (tmp_path / FILE_NAME).write_bytes(text)
    with pytest.raises(ManifestError) as caught:
        load(tmp_path)
    assert told in str(caught.value)
    assert str(tmp_path / FILE_NAME) in str(caught.value)


def test_a_folder_without_a_card_is_told(tmp_path: Path) -> None:
    """Also where there is no folder at all."""
    with pytest.raises(ManifestError, match=r"every model folder has a model\.yaml"):
        load(tmp_path / "nowhere")


YAMLISH = st.one_of(
    st.binary(max_size=300),
    st.text("{}[]:,&*!|>'\"%@ \n-abn01.~", max_size=200).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    ).flatmap(
        lambda value: st.sampled_from([*CARD, "other"]).map(
            lambda key: yaml.safe_dump({**CARD, key: value}).encode()
        )
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=YAMLISH)
def test_any_bytes_are_a_manifest_or_the_error(tmp_path: Path, text: bytes) -> None:
    """No bytes make anything but a Manifest or a ManifestError."""
    (tmp_path / FILE_NAME).write_bytes(text)
    (tmp_path / "model.onnx").write_bytes(DATA)
    with contextlib.suppress(ManifestError):
        assert isinstance(load(tmp_path), Manifest)


def test_an_alias_bomb_is_refused_at_the_first_alias() -> None:
    """Nobody laughs a billion times."""
    bomb = b"a: &a [x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9))
        for c in range(ord("b"), ord("k"))
    )
    with pytest.raises(ManifestError, match="aliases"):
        model_yaml.parse(Path("model.yaml"), bomb)
