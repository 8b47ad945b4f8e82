"""The demo's files are what an operator would write, with a token of this run's own."""

from pathlib import Path

from sidecar.config import load
from sidecar.demo.house import demo_house
from sidecar.domain import Category


def test_the_demo_lives_in_files_that_load(tmp_path: Path) -> None:
    """Policies in a file of their own, so that the page can change them."""
    house = demo_house(Category.DRUGS, "127.0.0.1", 1883, tmp_path)
    assert load(house.path, {}) == house.config
    assert house.config.policies[0].rules[1].category is Category.DRUGS
    assert (tmp_path / "policies.yaml").exists()
    token = house.config.control.token
    assert token is not None
    assert token.get_secret_value() == house.token
    other = demo_house(Category.DRUGS, "127.0.0.1", 1883, tmp_path)
    assert other.token != house.token


def test_the_pages_address_logs_in(tmp_path: Path) -> None:
    """With the token behind the `#`, which is never sent."""
    house = demo_house(Category.DRUGS, "127.0.0.1", 1883, tmp_path)
    assert house.page(8080) == f"http://127.0.0.1:8080/#login={house.token}"
