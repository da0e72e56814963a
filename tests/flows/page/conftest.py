"""A browser, and the page of the usual warehouse."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from flows.settings import Settings
from tests.conftest import shared_folder
from tests.flows.conftest import Warehouse
from tests.flows.page import odd_world
from tests.flows.page.browser import CHROMIUM, Browser, Page, chromium
from tests.flows.page.site import write
from tests.sql.conftest import TIMEZONE, Build, Dbt


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of the page."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new page."""
    with browser.page() as opened:
        yield opened


@pytest.fixture(scope="session")
def site(warehouse: Warehouse) -> Path:
    """The page of the usual warehouse, as a run wrote it."""
    return warehouse.root / "reports" / "index.html"


@pytest.fixture(scope="session")
def shared(browser: Browser, site: Path) -> Iterator[Page]:
    """The usual page, opened once: for tests that choose first and then only look."""
    with browser.page() as opened:
        opened.open(site)
        yield opened


@pytest.fixture
def changed(warehouse: Warehouse, tmp_path: Path) -> Callable[..., Path]:
    """The page of the usual warehouse after some SQL on a copy of its published file."""

    def written(*statements: str, language: str = "en") -> Path:
        root = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
        root.mkdir()
        shutil.copy(warehouse.root / "warehouse.duckdb", root)
        with duckdb.connect(str(root / "warehouse.duckdb")) as connection:
            for sql in statements:
                connection.execute(sql)
        return write(Settings(data_root=root), language)

    return written


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the odd world in English; `es.html` beside it is the one in Spanish."""
    root = tmp_path_factory.mktemp("odd")
    build = Build(
        root / "warehouse.duckdb",
        Dbt(tmp_path_factory.mktemp("dbt"), shared_folder(tmp_path_factory) / "dbt"),
    )
    build.update(odd_world.LAKE, warns={"assert_other_is_not_negative"})
    for language in ("en", "es"):
        written = write(Settings(data_root=root, timezone=TIMEZONE), language)
        written.rename(written.with_name(f"{language}.html"))
    return written.with_name("en.html")
