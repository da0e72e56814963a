"""Secrets from Prefect's Secret blocks, for machines whose environment has none."""

from __future__ import annotations

from typing import Any

from flows.server import has_server


def read_secret(name: str) -> str | None:
    """What a Secret block holds; None without a Prefect server, or if it has no such block.

    A server that does not answer counts as none: what is missing is named by whoever needs it.
    """
    if not has_server():
        return None
    import httpx
    from prefect.blocks.system import Secret

    try:
        block: Any = Secret.load(name)
        value = block.get()
    except (ValueError, OSError, httpx.HTTPError):
        return None
    return str(value) or None
