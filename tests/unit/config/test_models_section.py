"""Which models, and what goes with them, as an operator writes it."""

from pathlib import Path

import pytest

from sidecar.config import Config, load
from sidecar.errors import ConfigError
from tests.unit.config.test_loader import GOOD

HASH = "sha256:" + "a" * 64


def _load(tmp_path: Path, text: str, **environ: str) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load(path, environ)


def _remote(keys: str) -> str:
    return f"engine: {{remote: {{{keys}}}}}\n"


def test_one_model_or_several(tmp_path: Path) -> None:
    """Without a word it is testcard; the first of a list leads."""
    assert _load(tmp_path, GOOD).model_names == ("testcard",)
    assert _load(tmp_path, "model: a\n" + GOOD).model_names == ("a",)
    both = _load(tmp_path, "models: [a, testcard]\n" + GOOD)
    assert both.model_names == ("a", "testcard")


def test_what_goes_with_models_is_off_unless_asked_for(tmp_path: Path) -> None:
    """No canary, no gate, any model for a policy; each can be said in one line."""
    plain = _load(tmp_path, GOOD)
    assert (plain.canary, plain.unchanged) == (None, None)
    assert plain.policies[0].calibrated_for == ()
    text = GOOD.replace("name: default", f"name: default\n    calibrated_for: [{HASH}]")
    text = "canary: {every_s: 30}\nunchanged: {max_s: 20}\nswap: {samples: 9}\n" + text
    full = _load(tmp_path, text)
    assert full.canary is not None
    assert (full.canary.every_s, full.canary.category) == (30, "sexual.explicit")
    assert full.unchanged is not None
    assert (full.unchanged.max_s, full.swap.samples) == (20, 9)
    assert full.policies[0].calibrated_for == (HASH,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: a\nmodels: [a, b]\n", "give one of 'model' (a name) and 'models'"),
        ("models: []\n", "name at least one"),
        ("models: [a, a]\n", "each model once"),
        ("canary: {}\n", "c.yaml:1: canary.every_s: is missing"),
        ("canary: {every_s: 0.1}\n", "canary.every_s: 0.1 is not accepted"),
        ("unchanged: {noise: 3}\n", "unchanged.max_s: is missing"),
        ("unchanged: {max_s: 9, noise: 99}\n", "unchanged.noise: 99 is not accepted"),
        ("swap: {samples: -1}\n", "swap.samples: -1 is not accepted"),
        (_remote("urls: []"), "engine.remote.urls"),
        (_remote("urls: ['ftp://a:1']"), "use http://, https://, grpc:// or grpcs://"),
        (_remote("urls: ['http://a']"), "with host:port"),
        (_remote("urls: ['http://a:x']"), "with host:port"),
        (_remote("urls: ['http://u@a:1']"), "with host:port"),
        (_remote("urls: ['grpc://a:1/path']"), "with host:port"),
        (_remote("urls: ['http://a:1', 'http://a:1']"), "each of 'urls' once"),
        (_remote("urls: ['http://a:1'], cert_file: c.yaml"), "go together"),
        (_remote("urls: ['http://a:1'], token: {env: T}"), "in the clear"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """Each fault names the key and what would be accepted."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text + GOOD, T="t0ken")
    assert told in "\n".join(caught.value.faults)


def test_a_hash_is_written_whole(tmp_path: Path) -> None:
    """Half a hash would match nothing, silently."""
    text = GOOD.replace(
        "name: default", "name: default\n    calibrated_for: [sha256:ab]"
    )
    with pytest.raises(ConfigError, match="calibrated_for"):
        _load(tmp_path, text)


@pytest.mark.parametrize("url", ["https://a:1", "grpcs://a:1", "grpc://127.0.0.1:1"])
def test_a_token_goes_where_nobody_listens(tmp_path: Path, url: str) -> None:
    """Over TLS, or to this machine."""
    text = _remote(f"urls: ['{url}'], token: {{env: T}}") + GOOD
    remote = _load(tmp_path, text, T="t0ken").engine.remote
    assert remote is not None
    assert remote.token is not None
    assert "t0ken" not in repr(remote)
