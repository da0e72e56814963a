"""How the program that runs a flow deals with its memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Sixty megabytes in pieces, freed, and the same again: how many pages of memory the system gave.
_USE_MEMORY_AGAIN = """
import resource
from flows.run import start_run
from flows.settings import read_settings

def use():
    pieces = [b"x" * (4 << 20) for _ in range(15)]

start_run(read_settings())
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
@pytest.mark.parametrize(
    ("told", "is_kept"),
    [
        ({}, True),
        ({"MALLOC_TRIM_THRESHOLD_": "0"}, False),
        ({"MALLOC_MMAP_THRESHOLD_": "65536"}, False),
    ],
)
def test_memory_once_used_is_used_again(told: dict[str, str], is_kept: bool) -> None:
    settings = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "0" * 32}
    ran = subprocess.run(
        [sys.executable, "-c", _USE_MEMORY_AGAIN], capture_output=True, text=True, check=True,
        env={**settings, **told},
    )  # fmt: skip
    assert (int(ran.stdout) < 100) == is_kept
