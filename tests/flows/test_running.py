"""How the program that runs a flow deals with its memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Sixty megabytes in pieces, freed, and the same again: how many pages of memory the system gave.
_USE_MEMORY_AGAIN = """
import resource
from flows.running import prepare

def use():
    pieces = [b"x" * (4 << 20) for _ in range(15)]

prepare()
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_once_used_is_used_again() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _USE_MEMORY_AGAIN], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 100
