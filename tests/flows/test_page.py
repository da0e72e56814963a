"""The page in a real browser: its figures are SQL's, it asks nobody, and it looks right."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.errors import WarehouseError
from flows.settings import Settings
from flows.tasks.report import report
from flows.texts import Texts
from simulator.process import running
from simulator.world import WorldConfig
from tests.flows.browser import CHROMIUM, Browser, Page, chromium
from tests.flows.conftest import NOW, Warehouse
from tests.flows.test_report import NASTY, literal, publish

__all__ = ["publish"]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: apt install chromium"
)

CHARTS = ["delivery", "month", "volume", "hours", "costs"]
SEEDS = {"error_codes", "kpis", "message_statuses", "texts", "usage_categories"}
PER_PIECE = ("cost_per_message", "cost_per_segment", "cost_per_call")

# Each text's contrast with what is behind it, by WCAG's formula; those below 4.5.
PALE_TEXTS = """(() => {
    const light = (color) => {
        const [red, green, blue] = color.match(/[\\d.]+/g).map(Number).map((part) => {
            const share = part / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const pale = [];
    for (const one of document.querySelectorAll("body *:not(script):not(svg):not(svg *)")) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !one.checkVisibility() || one.closest(":disabled")) continue;
        const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) pale.push([one.textContent.slice(0, 40), contrast]);
    }
    return pale;
})()"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of the page."""
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new page."""
    with browser.page() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(warehouse: Warehouse) -> Path:
    """The page of the usual warehouse, as a run wrote it."""
    return warehouse.root / "reports" / "index.html"


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


def write(settings: Settings, language: str = "en", output: Path | None = None) -> Path:
    """Write the page, and nothing else; where it is."""
    entries = report.fn(settings, output, ["html"], language=language)
    (written,) = [path for entry in entries for path in entry.paths]
    return written


def select(warehouse: Warehouse, query: str, *values: object) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse.root / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.execute(query, list(values)).fetchall()


def shown(value: float | Decimal | None, unit: str, language: str = "en", decimals: int = 2) -> str:
    """A figure as the page has to write it, by another library than the browser's."""
    texts = Texts(language)
    if value is None:
        return "–"
    places = {"share": 3, "money": decimals, "seconds": 1}.get(unit, 0)
    exact = Decimal(value)
    value = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if unit == "share":
        if 0 < exact < 0.001:
            return "<" + texts.percent(0.001)
        return ">" + texts.percent(0.999) if 0.999 < exact < 1 else texts.percent(float(value))
    if unit == "money":
        amount = texts.number(value, decimals)
        return f"${amount}" if language == "en" else f"{amount} US$"
    if unit == "seconds":
        return texts.number(value, 1 if exact < 100 and exact % 1 else 0) + " s"
    return texts.number(value)


def assert_quiet(page: Page, site: Path) -> None:
    """Nothing in the console, and nothing asked for but the file itself."""
    assert page.complaints() == []
    others = [url for url in page.requests() if not url.startswith("data:")]
    assert [url.split("#")[0] for url in others] == [site.as_uri()]


def assert_drawn(page: Page) -> None:
    """Every chart has marks that can be seen, or says that there is nothing."""
    for name in CHARTS:
        marks = page.js(
            f"[...document.querySelectorAll('[data-chart={name}] .plot .plotbg ~ g path, "
            f"[data-chart={name}] .plot .cartesianlayer path, "
            f"[data-chart={name}] .plot .cartesianlayer image')]"
            ".filter((mark) => { const box = mark.getBoundingClientRect();"
            " return box.width > 1 && box.height > 1; }).length"
        )
        empty = page.js(f"document.querySelector('[data-chart={name}] .empty').checkVisibility()")
        assert (marks > 0) != empty, f"{name}: {marks} marks, empty: {empty}"


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


@pytest.mark.parametrize(("language", "chosen"), [("en", r".*"), ("es", r"last_30_days|2026-10")])
def test_every_figure_of_each_choice_is_what_sql_says(
    page: Page, warehouse: Warehouse, tmp_path: Path, language: str, chosen: str
) -> None:
    page.open(write(Settings(data_root=warehouse.root), language, tmp_path))
    assert page.js("document.documentElement.lang") == language
    scopes = [
        row[0] for row in select(warehouse, "select distinct scope from marts.account_scopes")
    ]
    periods = [row[0] for row in select(warehouse, "select page_period from marts.page_periods")]
    assert len(scopes) == 4
    assert {"last_7_days", "2026-10", "all"} <= set(periods)
    periods = [period for period in periods if re.fullmatch(chosen, period)]
    seen = set()
    for period in periods:
        for scope in scopes:
            page.choose(period, scope)
            seen.add(assert_choice(page, warehouse, period, scope, language))
    # Different choices have different figures.
    assert len(seen) > len(periods) * len(scopes) * 0.7
    assert page.complaints() == []


def assert_choice(
    page: Page, warehouse: Warehouse, period: str, scope: str, language: str
) -> tuple[str, ...]:
    """Cards and tables of a choice show what the marts hold; the texts of the cards."""
    title = f"title_{language}"

    def money(value: float | None) -> str:
        return shown(value, "money", language)

    def count(value: float | None) -> str:
        return shown(value, "messages", language)

    def share(value: float | None) -> str:
        return shown(value, "share", language)

    kpis = select(
        warehouse,
        f"select kpi, {title}, unit, value, is_met, is_settled from marts.page_kpis "
        "join marts.kpis using (kpi) where page_period = $1 and account_sid = $2 order by position",
        period, scope,
    )  # fmt: skip
    assert page.texts("#kpis .card h3") == [row[1] for row in kpis]
    assert page.texts("#kpis .card .value .number") == [
        shown(row[3], row[2], language, 4 if row[0] in PER_PIECE else 2) for row in kpis
    ]
    looks = page.js(
        "[...document.querySelectorAll('#kpis .card')].map((card) => ["
        "card.classList.contains('met'), card.classList.contains('missed'),"
        "card.querySelector('.number').classList.contains('provisional')])"
    )
    assert looks == [
        [row[4] is True, row[4] is False, row[3] is not None and not row[5]] for row in kpis
    ]

    groups = select(
        warehouse,
        "select message_count, inbound_count, attempted_count, delivery_rate, error_rate, "
        "message_cost, unpriced_count from marts.page_groups where page_period = $1 "
        "and account_sid = $2 and dimension = 'channel' order by message_count desc, member",
        period, scope,
    )  # fmt: skip
    assert [[cell.rstrip("*") for cell in row[1:]] for row in page.rows("#groups")] == [
        [count(a), count(b), count(c), share(d), share(e), money(f), count(g)]
        for a, b, c, d, e, f, g in groups
    ]

    errors = select(
        warehouse,
        f"select error_code, {title}, message_count, failed_count, share_of_attempted, "
        "message_cost from marts.page_errors where page_period = $1 and account_sid = $2 "
        "order by message_count desc, error_code",
        period, scope,
    )  # fmt: skip
    page.js("document.querySelector('#errors .more')?.click()")
    rows = page.rows("#errors")
    assert [[*row[:2], *row[3:6]] for row in rows] == [
        [str(code) if code else "–", count(a), count(b), share(c), money(d)]
        for code, _, a, b, c, d in errors
    ]
    assert all(row[2].startswith(text) for row, (_, text, *_) in zip(rows, errors, strict=True))

    categories = select(
        warehouse,
        f"select {title}, cost, share_of_cost from marts.page_categories "
        "where page_period = $1 and account_sid = $2 order by cost desc, cost_category",
        period, scope,
    )  # fmt: skip
    rows = page.rows("#categories")
    assert [row[:3] for row in rows[: len(categories)]] == [
        [name, money(cost), share(part)] for name, cost, part in categories
    ]
    if categories:
        (total,) = [row[3] for row in kpis if row[0] == "total_cost"]
        assert [row[1] for row in rows[len(categories) :]] == [money(total)]

    recipients = select(
        warehouse,
        "select recipient, message_count, delivered_count, failed_count, reply_count, message_cost "
        "from marts.page_recipients where page_period = $1 and account_sid = $2 "
        "order by recipient_rank",
        period, scope,
    )  # fmt: skip
    page.js("document.querySelector('#recipients .more')?.click()")
    assert [[row[1], *row[3:8]] for row in page.rows("#recipients")] == [
        [name, count(a), count(b), count(c), count(d), money(e)]
        for name, a, b, c, d, e in recipients
    ]
    assert_series(page, warehouse, period, scope)
    return tuple(page.texts("#kpis .card .value"))


def assert_series(page: Page, warehouse: Warehouse, period: str, scope: str) -> None:
    """What the charts draw of a choice is what the marts hold."""
    ((start, end),) = select(
        warehouse,
        "select start_date, end_date from marts.page_periods where page_period = $1",
        period,
    )
    days = select(
        warehouse,
        "select figure_date, attempted_count, delivery_rate from marts.page_days "
        "where calendar = 'local' and account_sid = $1 and figure_date >= $2 and figure_date < $3",
        scope, start, end,
    )  # fmt: skip
    bars, line = drawn(page, "delivery")
    assert bars == pytest.approx({str(day): count for day, count, _ in days})
    assert line == pytest.approx({str(day): rate for day, _, rate in days if rate is not None})

    channels = select(
        warehouse,
        "select channel, message_date, message_count from marts.page_channel_days "
        "where direction = 'outbound' and account_sid = $1 and message_date >= $2 "
        "and message_date < $3 order by all",
        scope, start, end,
    )  # fmt: skip
    wanted: dict[str, dict[str, int]] = {}
    for channel, day, count in channels:
        wanted.setdefault(channel, {})[str(day)] = count
    assert drawn(page, "volume") == list(wanted.values())

    hours = select(
        warehouse,
        "select weekday, hour_of_day, delivery_rate from marts.page_hours where page_period = $1 "
        "and account_sid = $2 and delivery_rate is not null",
        period, scope,
    )  # fmt: skip
    grid = page.js("document.querySelector('[data-chart=hours] .plot').data[0].z")
    assert {
        (day + 1, hour): rate
        for day, row in enumerate(grid)
        for hour, rate in enumerate(row)
        if rate is not None
    } == pytest.approx({(day, hour): rate for day, hour, rate in hours})

    costs = select(
        warehouse,
        "select page_period, sum(cost) from marts.page_categories where account_sid = $1 "
        "and page_period like '2%' group by all",
        scope,
    )
    months: dict[str, float] = {}
    for trace in drawn(page, "costs"):
        for month, cost in trace.items():
            months[month] = months.get(month, 0) + cost
    assert months == pytest.approx({month: float(cost) for month, cost in costs})


def drawn(page: Page, chart: str) -> list[dict[str, float]]:
    """What each trace of a chart draws: values by day or month, those that are not empty."""
    return page.js(
        f"document.querySelector('[data-chart={chart}] .plot').data.map(({{ x, y }}) =>"
        " Object.fromEntries(x.map((key, index) => [key, y[index]])"
        ".filter(([, value]) => value !== null)))"
    )


def test_the_month_shows_cost_forecast_and_budget(page: Page, changed: Callable[..., Path]) -> None:
    budget = (
        "update marts.page_kpis set goal = 500, comparison = '<=', is_met = value <= 500 "
        "where kpi in ('total_cost', 'forecast_cost') and account_sid = 'all' "
        "and page_period like '2026-%'"
    )
    site = changed(budget, "update marts.account_scopes set has_budget = scope = 'all'")
    page.open(site)
    with duckdb.connect(str(site.parents[1] / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select page_period, kpi, value, previous_value from marts.page_kpis "
            "where account_sid = 'all' and kpi in ('total_cost', 'forecast_cost')"
        ).fetchall()
    values = {(period, kpi): value for period, kpi, value, _ in rows}
    before = {(period, kpi): previous for period, kpi, _, previous in rows}

    def amounts() -> list[str]:
        return page.texts("#month [data-amount] .number")

    running_month = [
        shown(values["2026-11", "total_cost"], "money"),
        shown(values["2026-11", "forecast_cost"], "money"),
    ]
    assert amounts() == [*running_month, "$500.00"]
    assert page.text("#budget") == "✕ Over budget"
    assert shown(before["2026-11", "forecast_cost"], "money") in page.text("#month")
    assert page.text("#month-title") == "Cost of November 2026"
    page.choose("2026-10", "all")
    assert amounts() == [shown(values["2026-10", "total_cost"], "money"), "$500.00"]
    page.open(changed())
    assert amounts() == running_month
    assert "No monthly budget" in page.text("#month")


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_text_is_in_the_language(
    page: Page, changed: Callable[..., Path], language: str
) -> None:
    page.open(changed(language=language))
    text = page.js("document.body.innerText")
    assert re.findall(r"\b(?:page|column|value|sheet|format)\.\w+", text) == []
    texts = Texts(language)
    for key in ("page.title", "page.errors", "page.costs.about", "column.attempted_count"):
        assert texts.say(key) in text
    other = Texts("es" if language == "en" else "en")
    for key in ("page.title", "page.errors", "page.costs.about", "page.delivery.about"):
        assert other.say(key) not in text
    months = {"en": "Nov 10", "es": "10 nov"}
    assert page.text("#as-of").startswith(
        {"en": "As of Nov 10, 2026, 06:00", "es": "Situación a 10 nov 2026, 6:00"}[language]
    )
    axis = " ".join(page.texts("[data-chart=delivery] .xtick"))
    assert {"en": "Nov", "es": "nov"}[language] in axis, (axis, months)


def test_both_themes_can_be_read(page: Page, site: Path) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        page.open(site, "period=all&account=all")
        page.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.js("document.documentElement.dataset.theme") == scheme
        backgrounds.add(page.js("getComputedStyle(document.body).backgroundColor"))
        assert page.js(PALE_TEXTS) == []
        # Texts of charts are drawn in the theme's colours too.
        assert page.js(
            "getComputedStyle(document.querySelector('[data-chart=delivery] .ytick text')).fill"
        ) == page.js("getComputedStyle(document.querySelector('.quiet')).color")
    assert len(backgrounds) == 2
    page.js("document.getElementById('theme').click()")
    assert page.js("document.documentElement.dataset.theme") == "light"
    assert page.js("document.getElementById('theme').ariaPressed") == "false"
    assert page.complaints() == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2200])
def test_no_width_is_too_narrow(browser: Browser, site: Path, width: int) -> None:
    with browser.page(width, 900) as page:
        page.open(site, "period=all&account=all")
        assert page.js("document.documentElement.scrollWidth") <= width
        assert_drawn(page)
        cards = page.js(
            "[...document.querySelectorAll('.card')].filter((card) =>"
            " card.scrollWidth > card.clientWidth + 1).map((card) => card.textContent)"
        )
        assert cards == []


def test_what_is_chosen_is_in_the_address_and_can_be_chosen_by_keyboard(
    page: Page, site: Path
) -> None:
    page.open(site)
    page.js("delete document.documentElement.dataset.drawn")
    page.js("document.getElementById('period').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call(
            "Input.dispatchKeyEvent", type=kind, key="End", code="End", windowsVirtualKeyCode=35
        )
    assert page.wait("document.documentElement.dataset.drawn ?? ''") == "all all"
    assert "period=all" in page.js("location.hash")
    page.open(site, "period=2026-10&account=all")
    assert page.js("document.getElementById('period').value") == "2026-10"
    page.open(site, "period=nonsense&account=<b>")
    assert page.js("document.getElementById('period').value") == "last_30_days"
    assert page.complaints() == []


def test_charts_have_tables_and_controls_have_names(page: Page, site: Path) -> None:
    page.open(site)
    page.js("document.querySelectorAll('figure details').forEach((one) => { one.open = true; })")
    page.wait("document.querySelectorAll('figure table').length === 5")
    days = page.rows("[data-chart=delivery]")
    _, line = drawn(page, "delivery")
    assert [row[3] for row in reversed(days) if row[3] != "–"] == [
        shown(rate, "share") for rate in line.values()
    ]
    assert len(page.rows("[data-chart=hours]")) == 24
    page.choose("last_7_days", "all")
    assert len(page.rows("[data-chart=delivery]")) == 7
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {"combobox", "button", "img", "radio", "table", "region", "link", "heading"}
    nameless = [
        node
        for node in tree
        if not node["ignored"]
        and node["role"]["value"] in named - {"table"}
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    levels = page.js("[...document.querySelectorAll('h1, h2, h3')].map((one) => one.tagName)")
    assert levels[0] == "H1"
    assert levels.count("H1") == 1
    assert all(int(after[1]) <= int(before[1]) + 1 for before, after in pairwise(levels))


def test_it_prints_in_light_colours_and_comes_back(page: Page, site: Path) -> None:
    page.prefer("dark")
    page.open(site)
    assert page.printed().startswith(b"%PDF")
    assert page.js("document.documentElement.dataset.theme") == "dark"
    page.js("dispatchEvent(new Event('beforeprint'))")
    assert page.js("document.documentElement.dataset.theme") == "light"
    assert_drawn(page)
    page.js("dispatchEvent(new Event('afterprint'))")
    assert page.js("document.documentElement.dataset.theme") == "dark"
    assert page.complaints() == []


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
        *own_tables("accounts"),
        f"update lake.accounts set name = {literal(nasty[-6])} "
        "where account_sid = owner_account_sid",
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
                "page_groups", "page_hours", "page_errors", "page_categories", "page_recipients"
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


def emptied() -> list[str]:
    """SQL that leaves a published file its tables and seeds only."""
    return [
        f"delete from {schema}.{name}"
        for schema, names in {
            "marts": [
                "account_scopes", "daily_completeness", "page_categories", "page_channel_days",
                "page_days", "page_errors", "page_groups", "page_hours", "page_kpis",
                "page_periods", "page_recipients",
            ],
            "reports": ["kpis"],
        }.items()
        for name in names
    ] + own_tables("accounts", "extractions", "rejects", rows="limit 0")  # fmt: skip


def own_tables(*names: str, rows: str = "") -> list[str]:
    """SQL that makes views over the lake tables of the published file, which can be changed."""
    return [
        statement
        for name in names
        for statement in (
            f"create or replace temporary table kept as from lake.{name} {rows}",
            f"drop view if exists lake.{name}",
            f"create or replace table lake.{name} as from kept",
        )
    ]


def test_with_no_data_it_says_so(page: Page, changed: Callable[..., Path]) -> None:
    site = changed(*emptied())
    page.open(site)
    assert page.text("#notice") == Texts("en").say("page.nothing")
    assert page.text("#as-of") == Texts("en").say("page.never_read")
    assert not page.js("document.getElementById('period').checkVisibility()")
    assert not page.js("document.querySelector('[data-chart]').checkVisibility()")
    assert page.js("document.getElementById('definitions').checkVisibility()")
    assert_quiet(page, site)


def test_one_message_of_one_account_is_judged_by_nobody(page: Page, tmp_path: Path) -> None:
    config = WorldConfig(messages=1, days=30, accounts=1, seed=3, until=NOW)
    with running(config) as server:
        single = Warehouse(tmp_path, server, {"WAREHOUSE_INITIAL_DAYS": "30"})
        single.run("daily", now=NOW)
    site = tmp_path / "reports" / "index.html"
    page.open(site)
    ((attempted, direction),) = select(single, "select is_attempted, direction from marts.messages")
    assert (attempted, direction) == (True, "outbound")
    rate = "#kpis [data-kpi=delivery_rate]"
    assert page.text(f"{rate} .unsure .mark") == "?"
    assert "messages: 1" in page.text(rate)
    assert page.text("#kpis [data-kpi=messages_sent] .number") == "1"
    assert page.js("document.getElementById('account').disabled")
    assert page.js("document.getElementById('account').options.length") == 1
    assert "few messages (under 20)" in page.text("[data-chart=delivery]")
    (row,) = page.rows("#groups")
    assert row[4].endswith("*")
    assert_drawn(page)
    assert_quiet(page, site)


def test_ten_accounts_and_400_days_are_small_and_quick_enough(
    page: Page, changed: Callable[..., Path]
) -> None:
    site = changed(*enlarged(accounts=10, months=13))
    size = site.stat().st_size
    page.open(site, "period=all&account=all")
    seconds = page.js("performance.getEntriesByName('charts drawn')[0].startTime") / 1000
    print(f"{size / 1e6:.2f} MB, drawn after {seconds:.2f} s")
    assert size < 4_000_000
    assert seconds < 10  # in a fraction of it on an idle machine
    assert page.js("document.getElementById('account').options.length") == 11
    assert len(page.rows("#freshness")) == 10
    assert page.js("document.querySelector('[data-chart=delivery] .plot').data[0].x.length") > 390
    assert_drawn(page)
    assert page.js("document.documentElement.scrollWidth") <= 1280
    assert_quiet(page, site)


def enlarged(accounts: int, months: int) -> list[str]:
    """SQL that repeats a published month of three accounts for more months and accounts."""
    tables = {
        "page_kpis": "page_period", "page_groups": "page_period", "page_hours": "page_period",
        "page_errors": "page_period", "page_categories": "page_period",
        "page_recipients": "page_period", "page_days": "figure_date",
        "page_channel_days": "message_date", "daily_completeness": "usage_date",
    }  # fmt: skip
    statements = [
        f"insert into marts.page_periods select strftime(date '2026-10-01' - interval (n) month, "
        "'%Y-%m'), 'month', 100 + n, (date '2026-10-01' - interval (n) month)::date, "
        "(date '2026-11-01' - interval (n) month)::date, "
        "(date '2026-10-01' - interval (n) month)::date, "
        f"(date '2026-11-01' - interval (n) month)::date from range(1, {months}) as t(n)",
        "update marts.page_periods set start_date = (select min(start_date) "
        "from marts.page_periods) where page_period = 'all'",
    ]
    for name, column in tables.items():
        if column == "page_period":
            shifted = (
                f"select * replace (strftime(date '2026-10-01' - interval (n) month, '%Y-%m') as "
                f"page_period) from marts.{name}, range(1, {months}) as t(n) "
                "where page_period = '2026-10'"
            )
        else:
            shifted = (
                f"select * replace (({column} - interval (35 * n) day)::date as {column}) "
                f"from marts.{name}, range(1, {months}) as t(n)"
            )
        statements.append(f"insert into marts.{name} select * exclude (n) from ({shifted})")
    more = f"range(1, {accounts - 2}) as t(n)"
    first = "(select min(account_sid) from marts.account_scopes)"
    for name in tables:
        statements.append(
            f"insert into marts.{name} select * exclude (n) replace ('AC' || n as account_sid) "
            f"from marts.{name}, {more} where account_sid = {first}"
        )
    statements += [
        "insert into marts.account_scopes select * exclude (n) replace ('AC' || n as account_sid, "
        "case when is_all then scope else 'AC' || n end as scope) "
        f"from marts.account_scopes, {more} where account_sid = {first}",
        *own_tables("accounts", "extractions"),
        "insert into lake.accounts select * exclude (n) replace ('AC' || n as account_sid, "
        f"'Shop ' || n as name) from lake.accounts, {more} where account_sid = {first}",
        "insert into lake.extractions select * exclude (n) replace ('AC' || n as account_sid) "
        f"from lake.extractions, {more} where account_sid = {first}",
    ]
    return statements


def test_the_same_warehouse_gives_the_same_file(warehouse: Warehouse, tmp_path: Path) -> None:
    settings = Settings(data_root=warehouse.root)
    for name in ("one", "two"):
        report.fn(settings, tmp_path / name, ["html"])
    one, two = [(tmp_path / name / "index.html").read_bytes() for name in ("one", "two")]
    assert one == two
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["index.html"]


def test_what_an_earlier_version_published_has_no_page(publish: Callable[..., Settings]) -> None:
    settings = publish()
    with pytest.raises(WarehouseError, match="run `twilio-warehouse rebuild` first"):
        report.fn(settings, formats=["html"])
    report.fn(settings)
    assert not (settings.reports / "index.html").exists()
