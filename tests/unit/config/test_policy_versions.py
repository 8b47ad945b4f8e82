"""Each version is kept; the file is always a whole one; nobody overwrites unseen."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sidecar.config.policies import PolicyConfig
from sidecar.config.policy_changes import changed
from sidecar.config.policy_versions import PolicyVersions, Version
from sidecar.errors import ConfigError, VersionConflict
from tests.unit.config.test_policy_changes import OLD, change

AT = "2026-01-01T00:00:00.000Z"
DRAFT = Version(0, AT, "desk1", "too many alarms", "", ("enter 0.9 → 0.8",))
NEW = changed(OLD, [change("enter", 0.8)])

OURS = """\
# Ours, agreed in March.
- name: default
  rules:
  - name: cut  # the only one that takes down
    category: sexual.explicit
    action: takedown
    # From the report of tune: recall 0.97.
    enter: 0.90
    exit: 0.5
    hits: 2
    of: 4
    within_s: 6
    cooldown_s: 60  # how much the night shift bears
"""


@pytest.fixture
def versions(tmp_path: Path) -> PolicyVersions:
    """Of a file written by hand, with a comment."""
    plain = [policy.model_dump(mode="json") for policy in OLD]
    text = f"# ours\n{yaml.safe_dump(plain)}"
    (tmp_path / "policies.yaml").write_text(text)
    return PolicyVersions(tmp_path / "policies.yaml")


def in_force(versions: PolicyVersions) -> tuple[PolicyConfig, ...]:
    """What stands in the file."""
    raw = yaml.safe_load(versions.file.read_bytes())
    return tuple(map(PolicyConfig.model_validate, raw))


def test_the_first_version_is_what_was_found(versions: PolicyVersions) -> None:
    """It is the operator's own text, byte for byte; asking again changes nothing."""
    first = versions.current(AT)
    assert (first.number, first.author, first.reason) == (1, "file", "as it was found")
    assert versions.current("later") == first
    assert versions.history() == [first]
    kept = versions.file.with_name("policies.yaml.versions") / "000001.yaml"
    assert kept.read_bytes() == versions.file.read_bytes()
    assert versions.policies(1) == OLD


def test_a_version_is_in_the_file_and_in_the_history(versions: PolicyVersions) -> None:
    """Who, when, why and what; the file keeps its rights."""
    versions.file.chmod(0o640)
    second = versions.put(NEW, DRAFT, versions.current(AT).etag)
    assert (second.number, second.author) == (2, "desk1")
    assert in_force(versions) == NEW == versions.policies(2)
    assert versions.file.read_text().startswith(
        f"# Version 2, {AT}, by desk1: too many alarms\n"
    )
    assert versions.file.stat().st_mode & 0o777 == 0o640
    again = PolicyVersions(versions.file)
    assert again.current("later") == second
    assert again.history()[-1] == second


def test_comments_stay_where_they_are(versions: PolicyVersions) -> None:
    """In the file as a person wrote it, all but the number that was changed."""
    versions.file.write_text(OURS)
    old = in_force(versions)
    new = changed(old, [change("enter", 0.8)])
    versions.put(new, DRAFT, versions.current(AT).etag)
    head, body = versions.file.read_text().split("kept beside.\n")
    assert body == OURS.replace("enter: 0.90", "enter: 0.8")
    assert in_force(versions) == new
    again = replace(DRAFT, reason="back", undoes=2)
    versions.put(old, again, versions.current(AT).etag)
    assert versions.file.read_text().count("# Version") == 1
    assert in_force(versions) == old
    assert "# how much the night shift bears" in versions.file.read_text()
    assert head.startswith("# Version 2")


@pytest.mark.parametrize("text", ["policies: {}\n", "- [", "- &a {name: x}\n- *a\n"])
def test_a_text_that_cannot_be_kept_is_written_anew(
    versions: PolicyVersions, text: str
) -> None:
    """Whatever somebody has made of it meanwhile: the new version is a whole one."""
    versions.file.write_text(text)
    versions.put(NEW, DRAFT, versions.current(AT).etag)
    assert in_force(versions) == NEW


def test_a_reason_cannot_break_the_file(versions: PolicyVersions) -> None:
    """Whatever is typed stays within its comment."""
    odd = replace(DRAFT, reason="x\n- name: evil\r\u2028y")
    versions.put(NEW, odd, versions.current(AT).etag)
    assert in_force(versions) == NEW


def test_who_comes_second_is_told_what_the_first_did(
    versions: PolicyVersions,
) -> None:
    """And nothing is written."""
    seen = versions.current(AT).etag
    versions.put(NEW, DRAFT, seen)
    with pytest.raises(VersionConflict, match=r"2 was made by desk1.*too many") as told:
        versions.put(OLD, DRAFT, seen)
    assert told.value.number == 2
    assert "enter 0.9 → 0.8" in str(told.value)
    assert in_force(versions) == NEW


def test_an_edit_by_hand_is_a_version(versions: PolicyVersions) -> None:
    """A page that has not seen it cannot overwrite it."""
    seen = versions.put(NEW, DRAFT, versions.current(AT).etag).etag
    versions.file.write_text(versions.file.read_text().replace("0.8", "0.7"))
    with pytest.raises(VersionConflict, match=r"made by file.*edited by hand"):
        versions.put(OLD, DRAFT, seen)
    assert [v.number for v in versions.history()] == [1, 2, 3]
    assert versions.policies(3)[0].rules[0].enter == 0.7


def test_a_version_that_did_not_reach_the_file_is_not_in_force(
    versions: PolicyVersions,
) -> None:
    """Power failed between two writes: the file says what holds."""
    first = versions.current(AT)
    before = versions.file.read_bytes()
    versions.put(NEW, DRAFT, first.etag)
    versions.file.write_bytes(before)
    assert versions.current(AT) == first
    third = versions.put(NEW, replace(DRAFT, author="desk2"), first.etag)
    assert third.number == 3


def test_a_torn_history_is_passed_over(versions: PolicyVersions) -> None:
    """What can be read of it counts."""
    versions.current(AT)
    history = versions.file.with_name("policies.yaml.versions") / "history.jsonl"
    history.write_bytes(b'{"number": \nnull\n[]\n{}\n' + history.read_bytes())
    assert [v.number for v in versions.history()] == [1]


def test_what_is_not_there_is_told(tmp_path: Path, versions: PolicyVersions) -> None:
    """A version, a file, a folder that cannot be made."""
    with pytest.raises(ConfigError, match="version 9"):
        versions.policies(9)
    with pytest.raises(ConfigError, match="No such file"):
        PolicyVersions(tmp_path / "none.yaml").current(AT)
    first = versions.current(AT)
    folder = versions.file.with_name("policies.yaml.versions")
    folder.rename(tmp_path / "away")
    folder.write_text("")
    with pytest.raises(ConfigError, match="readable and writable"):
        versions.put(NEW, DRAFT, first.etag)
