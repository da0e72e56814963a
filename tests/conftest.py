"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from flows import orchestration

# Before flows are imported: what they do is the same with and without Prefect, and Prefect itself
# is tested where a real server and worker run them (flows/test_deployment.py).
orchestration.run_plainly()

# Before Prefect is imported: its server asks nobody outside, and waits for a slow machine.
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"

# No test depends on how fast the machine is.
hypothesis.settings.register_profile(
    "whatever it takes",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("whatever it takes")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Tests see neither the developer's environment nor a .env file."""
    for name in list(os.environ):
        if name.startswith(("TWILIO_", "WAREHOUSE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups, which one process runs as a whole, go first: nobody waits for one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of a session have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("TESTS_MUST_NOT_SKIP") and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("A test was skipped where none may be.", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TESTS_MUST_NOT_SKIP") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
