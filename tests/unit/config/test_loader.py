"""A file becomes a checked Config, or a list of faults that say how to mend them."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.config import Config, load
from sidecar.config.lines import parse
from sidecar.errors import ConfigError

ROOT = Path(__file__).parents[3]
GOOD = """\
mqtt:
  host: 127.0.0.1
outbox:
  path: outbox.sqlite
policies:
  - name: default
    rules:
      - name: explicit
        category: sexual.explicit
        action: takedown
        enter: 0.9
        exit: 0.5
        hits: 2
        of: 3
        within_s: 5
"""


def _stream_at(url: str, more: str = "labels: {}") -> str:
    return f"streams: [{{id: a, whep: {{url: '{url}'}}, {more}}}]\noutbox:"


def _ice(url: str) -> str:
    return f"webrtc: {{ice_servers: [{{urls: '{url}'}}]}}\noutbox:"


def _load(tmp_path: Path, text: str, **environ: str) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load(path, environ)


def _faults(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text, **environ)
    return "\n".join(caught.value.faults)


def test_a_recording_needs_room_for_two_files(tmp_path: Path) -> None:
    """One is written while the other is kept; the folder is beside the file."""
    config = _load(tmp_path, GOOD + "record: {folder: kept}\n")
    assert config.record is not None
    assert config.record.folder == tmp_path / "kept"
    told = _faults(tmp_path, GOOD + "record: {folder: kept, max_total_mib: 100}\n")
    assert "raise the first or lower the second" in told


def test_least_configuration_loads(tmp_path: Path) -> None:
    """Broker, outbox and one policy suffice; paths are beside the file."""
    config = _load(tmp_path, GOOD)
    assert config.outbox.path == tmp_path / "outbox.sqlite"
    assert config.control.host == "127.0.0.1"
    assert config.policies[0].to_policy().rules[0].hits == 2


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=str)
def test_shipped_configurations_load(path: Path) -> None:
    """Each ready-to-run configuration is valid as it stands."""
    names = ("WHEP_TOKEN", "MQTT_PASSWORD", "WHIP_TOKEN", "WHIP_TOKEN_STUDIO_7")
    config = load(path, dict.fromkeys(names, "0123456789abcdef"))
    assert config.policies


def test_every_fault_names_file_line_key_value_and_mend(tmp_path: Path) -> None:
    """Several faults come at once, each with its place and what would be accepted."""
    text = GOOD.replace("enter: 0.9", "enter: 9").replace("host:", "hosst:")
    faults = _faults(tmp_path, text)
    place = f"{tmp_path / 'c.yaml'}"
    assert f"{place}:2: mqtt.hosst: unknown key; did you mean 'host'?" in faults
    assert f"{place}:1: mqtt.host: is missing; add it" in faults
    assert f"{place}:11: policies.0.rules.0.enter: 9 is not accepted" in faults
    assert "less than or equal to 1" in faults


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("exit: 0.5", "exit: 0.95", "exit <= enter"),
        ("hits: 2", "hits: 4", "hits <= of"),
        ("hits: 2", "hits: 1", "one frame must not lead to 'takedown'"),
        ("sexual.explicit", "csea.known", "sexual.nudity"),
        ("sexual.explicit", "safe", "no rule acts on 'safe'"),
        ("takedown", "reverse_takedown", "a person's act"),
        ("  - name: default", "  - name: d\n    match: {ids: [a]}", "every stream"),
        ("host: 127.0.0.1", "host: x\n  port: 99999", "mqtt.port: 99999"),
        ("host: 127.0.0.1", "host: x\n  password: hunter2", "{file: PATH}"),
        ("host: 127.0.0.1", "host: x\n  version: 4", "'5' or '3.1.1'"),
        ("outbox:", "site: a/b\noutbox:", "A-Z a-z 0-9"),
        ("outbox:", "streams: [{id: a}]\noutbox:", "exactly one of"),
        (
            "outbox:",
            "streams: [{id: a, file: {path: no.mp4}}]\noutbox:",
            "there is no file",
        ),
        ("outbox:", "control: {host: 0.0.0.0}\noutbox:", "token"),
        ("outbox:", "whip: {host: 0.0.0.0}\noutbox:", "token"),
        ("outbox:", "webrtc: {port_range: [9, 8]}\noutbox:", "first <= last"),
        ("path: outbox.sqlite", "path: a\n  path: b", "stands here twice"),
        ("host: 127.0.0.1", "host: &a x\n  client_id: *a", "aliases"),
        ("within_s: 5", "within_s: 0.1", "2 samples take 0.2 s"),
        ("outbox:", "sampling: {interval_s: 60}\noutbox:", "mostly be UNKNOWN"),
        (
            "outbox:",
            _stream_at("http://h", "sampling: {interval_s: 9}"),
            "sampling of stream 'a': 10.8 s",
        ),
        ("outbox:", _stream_at("http://h:99999/x"), "Port out of range"),
        ("outbox:", _stream_at("http://[::1/x"), "Invalid IPv6"),
        ("outbox:", _stream_at("ftp://h/x"), "use http(s)://"),
        ("outbox:", _stream_at("http://h/x", "publisher: a b"), "A-Z a-z 0-9"),
        ("outbox:", _ice("stun:h:port"), "use stun:HOST:PORT"),
        ("outbox:", _ice("turn:h:99999"), "use stun:HOST:PORT"),
        ("outbox:", _ice("turn:h?transport=sctp"), "tcp may follow"),
        ("host: 127.0.0.1", "host: x\n  prefix: a//b", "mqtt.prefix"),
        ("host: 127.0.0.1", "host: ''", "mqtt.host"),
        ("outbox:", "sampling: {audit_every_s: -1}\noutbox:", "audit_every_s: -1"),
        ("outbox:", "budget: {samples_per_s: 0}\noutbox:", "samples_per_s: 0"),
        (
            "outbox:",
            "budget: {samples_per_s: 9, floor_s: 9}\noutbox:",
            "budget.floor_s allows 10.8 s",
        ),
        (
            "host: 127.0.0.1",
            "host: x\n  inbound: {set: true}",
            "'set' needs 'set_hosts'",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    """Each fault is found before anything starts, and says what would do."""
    assert fault in _faults(tmp_path, GOOD.replace(old, new, 1))


def test_secrets_come_from_files_and_environment_and_stay_hidden(
    tmp_path: Path,
) -> None:
    """The text is read and stripped; neither repr nor an error shows it."""
    (tmp_path / "pw").write_text("hunter2\n")
    text = GOOD.replace(
        "host: 127.0.0.1", "host: x\n  username: u\n  password: {file: pw}"
    ).replace("outbox:", "control: {token: {env: TOKEN}}\noutbox:")
    config = _load(tmp_path, text, TOKEN="geheimnis-0123456789")  # noqa: S106 it is one
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "hunter2"
    assert config.control.token is not None
    assert config.control.token.get_secret_value() == "geheimnis-0123456789"
    assert "hunter2" not in repr(config)
    assert "geheim" not in repr(config)


@pytest.mark.parametrize(
    "wrong",
    [
        "password: hunter2",
        "password: [hunter2]",
        "password: {value: hunter2}",
        "host: 'http://u:hunter2@h'",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_told(tmp_path: Path, wrong: str) -> None:
    """Errors go to logs, and whoever wrote it there has to change it anyway."""
    text = GOOD.replace("host: 127.0.0.1", f"username: u\n  {wrong}")
    assert "hunter2" not in _faults(tmp_path, text)


def test_a_token_that_cannot_be_sent_is_a_fault(tmp_path: Path) -> None:
    """It is found in the file, not when the stream is started."""
    (tmp_path / "token").write_text("two words")
    whep = "whep: {url: 'http://h/x', token: {file: token}}"
    text = GOOD.replace("outbox:", f"streams: [{{id: a, {whep}}}]\noutbox:")
    faults = _faults(tmp_path, text)
    assert "visible ASCII" in faults
    assert "two words" not in faults


def test_hosts_that_may_be_set_are_compared_in_lower_case(tmp_path: Path) -> None:
    """As the messages are."""
    inbound = "inbound: {set: true, set_hosts: [Media.Example]}"
    text = GOOD.replace("host: 127.0.0.1", f"host: x\n  {inbound}")
    assert _load(tmp_path, text).mqtt.inbound.set_hosts == ("media.example",)


@pytest.mark.parametrize(
    ("secret", "fault"),
    [
        ("{file: none}", "cannot read secret file"),
        ("{file: empty}", "is empty"),
        ("{file: binary}", "not UTF-8"),
        ("{env: NOT_THERE}", "NOT_THERE is not set"),
        ("{other: x}", "use {file: PATH} or {env: NAME}"),
    ],
)
def test_a_secret_that_is_not_there_is_a_fault(
    tmp_path: Path, secret: str, fault: str
) -> None:
    """A missing, empty or binary secret is said before anything starts."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    text = GOOD.replace(
        "host: 127.0.0.1", f"host: x\n  username: u\n  password: {secret}"
    )
    assert fault in _faults(tmp_path, text)


def test_policies_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    """`policies: FILE`; a fault in it names that file and its line."""
    head, rules = GOOD.split("policies:\n")
    (tmp_path / "p.yaml").write_text(rules)
    assert _load(tmp_path, head + "policies: p.yaml\n").policies[0].name == "default"
    (tmp_path / "p.yaml").write_text(rules.replace("of: 3", "of: x"))
    faults = _faults(tmp_path, head + "policies: p.yaml\n")
    assert f"{tmp_path / 'p.yaml'}:9: policies.0.rules.0.of: 'x'" in faults


@pytest.mark.parametrize("raw", [b"\xff", b"a: [", b"- a", b"", b"\x00", b"a: !!x y"])
def test_what_is_no_configuration_is_said_plainly(tmp_path: Path, raw: bytes) -> None:
    """Binary, broken, empty and foreign files give one clear error."""
    path = tmp_path / "c.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load(path, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path and the mend, not a traceback."""
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load(tmp_path / "none.yaml", {})


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_config_error(raw: bytes) -> None:
    """No input makes the parser raise anything else."""
    with suppress(ConfigError):
        parse(Path("x.yaml"), raw)


_LINES = st.sampled_from(GOOD.splitlines())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.one_of(_LINES, st.text(max_size=20)), max_size=20))
def test_any_shuffled_configuration_loads_or_is_a_config_error(
    tmp_path: Path, lines: list[str]
) -> None:
    """Lines out of place, doubled or foreign never give another error."""
    path = tmp_path / "c.yaml"
    path.write_bytes("\n".join(lines).encode("utf-8", "replace"))
    with suppress(ConfigError):
        load(path, {})
