"""Whether there is a Prefect server to talk to, without importing Prefect."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path


def has_server() -> bool:
    """Whether this machine's Prefect is told of a server, by its environment or its profile."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
        name = os.environ.get("PREFECT_PROFILE") or profiles["active"]
        return bool(profiles["profiles"][name].get("PREFECT_API_URL"))
    except (OSError, ValueError, KeyError, AttributeError):
        return False
