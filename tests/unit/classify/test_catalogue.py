"""Models are found by name or path, and broken ones are shown as such."""

from pathlib import Path

import pytest

from sidecar.classify import catalogue
from sidecar.classify.catalogue import bundled_models, find, listing
from sidecar.classify.manifest import FILE_NAME
from sidecar.errors import ManifestError
from tests.fakes.onnx_models import CARD, card, mean_colour_folder, write


def test_a_name_is_looked_up_in_order(tmp_path: Path) -> None:
    """The first folder of the search that has it wins."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mean_colour_folder(theirs / "a")
    assert find("a", [mine, theirs]) == theirs / "a"
    mean_colour_folder(mine / "a")
    assert find("a", [mine, theirs]) == mine / "a"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    """A folder or its `model.yaml`, wherever it lies."""
    folder = mean_colour_folder(tmp_path / "Some Where" / "a")
    assert find(str(folder), []) == folder
    assert find(str(folder / FILE_NAME), []) == folder


@pytest.mark.parametrize("name", ["gone", "../a", "", "a\0b", "x" * 5000, "/", "."])
def test_what_is_not_there_is_told_with_what_is(tmp_path: Path, name: str) -> None:
    """The error names where was looked and what could be had."""
    mean_colour_folder(tmp_path / "models" / "colours")
    with pytest.raises(ManifestError) as caught:
        find(name, [tmp_path / "models"])
    assert f"no such model in {tmp_path / 'models'}" in str(caught.value)
    assert "there are: colours" in str(caught.value)


def test_nowhere_to_look_is_told() -> None:
    """An empty search is no crash."""
    with pytest.raises(ManifestError, match=r"in no folder.*there are: none"):
        find("a", [])


def test_the_listing_shows_broken_ones_too(tmp_path: Path) -> None:
    """By name, the first of equal names, with faults instead of a manifest."""
    mean_colour_folder(tmp_path / "one" / "b")
    write(tmp_path / "one" / "a", b"x", card(version=1))
    mean_colour_folder(tmp_path / "two" / "b")
    mean_colour_folder(tmp_path / "two" / "Not A Name")
    (tmp_path / "two" / "empty").mkdir()
    first, second = listing([tmp_path / "one", tmp_path / "two", tmp_path / "gone"])
    assert (first.name, first.manifest) == ("a", None)
    assert "version: 1" in first.faults[0]
    assert second.folder == tmp_path / "one" / "b"
    assert second.manifest is not None
    assert second.manifest.name == CARD["name"]
    assert second.faults == ()


def test_bundled_models_are_in_the_package_or_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel carries them inside; a checkout has them beside."""
    monkeypatch.setattr(catalogue, "_PACKAGE", tmp_path / "sidecar")
    assert bundled_models() == tmp_path / "models"
    (tmp_path / "sidecar" / "_models").mkdir(parents=True)
    assert bundled_models() == tmp_path / "sidecar" / "_models"
