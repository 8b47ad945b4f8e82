"""The settings: the only reader of configuration files and of the environment."""

from sidecar.config.loader import load, load_policies
from sidecar.config.schema import Config

__all__ = ["Config", "load", "load_policies"]
