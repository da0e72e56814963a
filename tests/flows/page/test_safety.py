"""The page asks nobody for anything, and runs nothing of what people may send."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.page.browser import Page
from tests.flows.page.site import assert_drawn, assert_quiet
from tests.flows.test_report import NASTY, literal


def test_it_asks_nobody_and_has_no_complaint(page: Page, site: Path) -> None:
    page.open(site)
    assert_drawn(page)
    page.choose("all", "all")
    assert_drawn(page)
    assert_quiet(page, site)


def test_its_policy_runs_nothing_else_and_lets_nothing_out(page: Page, site: Path) -> None:
    page.open(site)
    with pytest.raises(AssertionError, match="EvalError"):
        page.js("eval('1')")
    page.js(
        "(() => { const run = document.createElement('script'); run.textContent = 'window.ran = 1';"
        "document.head.append(run); const image = new Image();"
        "image.src = 'http://127.0.0.1:9/x.png'; document.body.append(image);"
        "document.body.insertAdjacentHTML('beforeend', '<i onclick=\"window.ran = 1\">x</i>');"
        "document.body.lastElementChild.click(); })()"
    )
    assert page.js("window.ran ?? 0") == 0
    assert page.js("fetch('http://127.0.0.1:9/').then(() => 'out', () => 'kept')") == "kept"
    blocked = [text for text in page.complaints() if "Content Security Policy" in text]
    assert len(blocked) >= 4
    policy = page.js("document.querySelector('meta[http-equiv]').content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert re.findall(r"(\S+) 'unsafe-inline'", policy) == ["style-src-attr"]


def test_texts_of_the_data_stay_texts(page: Page, changed: Callable[..., Path]) -> None:
    nasty = [
        *NASTY, "<img src=x onerror='window.ran = 1'>", "</script><script>window.ran = 1</script>",
        "<a href='javascript:window.ran = 1'>x</a>", "&lt;b&gt;", "{{ 7 * 7 }}", "\u2028x",
    ]  # fmt: skip
    script = literal(nasty[-5])
    (sid,) = {"AC<script>window.ran = 1</script>"}
    statements = [
        "update marts.page_recipients set recipient = case recipient_rank "
        + " ".join(f"when {rank} then {literal(text)}" for rank, text in enumerate(nasty[-20:], 1))
        + " else recipient end",
        f"update marts.page_freshness set account_name = {literal(nasty[-6])} where position = 1",
        f"update marts.page_errors set title_en = {script}, url = 'javascript:window.ran = 1'",
        f"update marts.page_categories set title_en = {script} where cost_category = 'sms'",
        f"update marts.page_categories set cost_category = {script} where cost_category = 'calls'",
        f"update marts.page_channel_days set channel = {script} where channel = 'sms'",
        f"update marts.page_groups set member = {script} where member = 'sms'",
        f"update marts.page_periods set page_period = {literal(sid)} where page_period = '2026-10'",
        f"update marts.page_kpis set page_period = {literal(sid)} where page_period = '2026-10'",
        *(
            f"delete from marts.{name} where page_period = '2026-10'"
            for name in (
                "page_categories", "page_completeness", "page_errors", "page_groups",
                "page_hours", "page_recipients",
            )
        ),
    ]  # fmt: skip
    site = changed(*statements)
    page.open(site, "period=last_30_days&account=all")
    page.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.js("document.querySelector('#recipients .more').click()")
    recipients = page.js(
        "[...document.querySelectorAll('#recipients tbody tr')].map((row) =>"
        " row.cells[1].textContent)"
    )
    assert recipients == nasty[-20:]
    assert page.js("document.querySelectorAll('#errors a').length") == 0
    assert nasty[-5] in page.js("document.getElementById('errors').textContent")
    assert nasty[-6] in page.texts("#freshness th")
    assert nasty[-5] in page.texts("[data-chart=volume] .legend span")
    assert page.js("window.ran ?? 0") == 0
    assert_drawn(page)
    assert_quiet(page, site)


def test_masked_numbers_stay_masked(page: Page, changed: Callable[..., Path]) -> None:
    site = changed("update marts.page_recipients set recipient = '+52…65#3e48f1ff'")
    page.open(site)
    assert set(row[1] for row in page.rows("#recipients")) == {"+52…65#3e48f1ff"}
