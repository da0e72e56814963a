"""The page of nothing, of little and of much."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.errors import WarehouseError
from flows.formats.page_data import read_page
from flows.settings import Settings
from flows.tasks.report import report
from flows.texts import Texts
from flows.warehouse import open_published
from tests.flows.conftest import Warehouse
from tests.flows.page import odd_world
from tests.flows.page.browser import Page
from tests.flows.page.site import assert_drawn, assert_quiet, published
from tests.flows.test_report import publish

__all__ = ["publish"]

in_odd_world = pytest.mark.xdist_group("odd-world")


def test_with_no_data_it_says_so(page: Page, changed: Callable[..., Path]) -> None:
    site = changed(*emptied())
    page.open(site)
    assert page.text("#notice") == Texts("en").say("page.nothing")
    assert page.text("#as-of") == Texts("en").say("page.never_read")
    assert not page.js("document.getElementById('period').checkVisibility()")
    assert not page.js("document.querySelector('[data-chart]').checkVisibility()")
    assert page.js("document.getElementById('definitions').checkVisibility()")
    assert_quiet(page, site)


def emptied() -> list[str]:
    """SQL that leaves a published file its tables and seeds only."""
    return [
        f"delete from {schema}.{name}"
        for schema, names in {
            "marts": [
                "daily_completeness", "page_categories", "page_channel_days", "page_completeness",
                "page_completeness_days", "page_days", "page_errors", "page_freshness",
                "page_groups", "page_hours", "page_kpis", "page_periods", "page_recipients",
                "page_scopes",
            ],
            "reports": ["kpis", "monthly_cost"],
        }.items()
        for name in names
    ] + ["update marts.page_run set run_id = null, read_at = null"]  # fmt: skip


@in_odd_world
def test_one_message_is_judged_by_nobody(page: Page, odd: Path) -> None:
    page.open(odd, "period=last_30_days&account=AC3")
    rate = "#kpis [data-kpi=delivery_rate]"
    assert page.text(f"{rate} .unsure .mark") == "?"
    assert "messages: 1" in page.text(rate)
    assert page.text("#kpis [data-kpi=messages_sent] .number") == "1"
    assert "few messages (under 20)" in page.text("[data-chart=delivery]")
    (row,) = page.rows("#groups")
    assert row[4].endswith("*")
    assert_drawn(page)
    assert_quiet(page, odd)


def test_an_only_account_is_no_choice(
    page: Page, warehouse: Warehouse, changed: Callable[..., Path]
) -> None:
    with published(warehouse.root) as select:
        ((sid,),) = select("select account_sid from marts.page_scopes where position = 2")
    tables = (
        "marts.page_categories", "marts.page_channel_days", "marts.page_completeness",
        "marts.page_completeness_days", "marts.page_days", "marts.page_errors",
        "marts.page_groups", "marts.page_hours", "marts.page_kpis", "marts.page_recipients",
        "marts.page_scopes", "reports.kpis",
    )  # fmt: skip
    site = changed(
        *(f"delete from {table} where account_sid not in ('all', '{sid}')" for table in tables),
        f"delete from marts.page_freshness where account_sid <> '{sid}'",
    )
    # An address that names the account itself means the same.
    for fragment in ("", f"period=last_30_days&account={sid}"):
        page.open(site, fragment)
        assert page.js("document.getElementById('account').disabled")
        assert page.texts("#account option") == ["Tienda Ejemplo"]
        assert page.js("document.getElementById('account').value") == "all"
        assert page.text("#chosen").endswith("· Tienda Ejemplo")


@in_odd_world
def test_money_of_each_currency_stands_for_itself(page: Page, odd: Path) -> None:
    page.open(odd, "period=all&account=all+EUR")
    sent = Counter(row["account_sid"] for row in odd_world.MESSAGES)
    spent = Counter[str]()
    for row in odd_world.USAGE:
        spent[row["account_sid"]] += row["cost"] if row["category"] == "totalprice" else 0
    assert page.rows("#currencies") == [
        ["EUR", "1", str(sent["AC1"]), f"€{spent['AC1']:.2f}"],
        ["MXN", "1", "1", "–"],
        ["USD", "1", str(sent["AC2"]), f"${spent['AC2']:.2f}"],
    ]
    signs = {"EUR": "€", "USD": "$", "MXN": "MX$"}
    for scope, currency in [
        ("all EUR", "EUR"), ("AC1", "EUR"), ("all USD", "USD"), ("AC2", "USD"), ("AC3", "MXN"),
    ]:  # fmt: skip
        for period in ("all", "2026-11"):
            page.choose(period, scope)
            page.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            text = page.js(
                "[...document.querySelectorAll('main > :not(#currencies)')]"
                ".map((one) => one.innerText).join(' ')"
            )
            assert set(re.findall(r"(MX\$|€|\$)[0-9]", text)) == {signs[currency]}, scope
            name = {"AC1": "Tienda", "AC2": "Store", "AC3": "Puesto"}
            accounts = {"all EUR": "AC1", "all USD": "AC2"}
            assert [row[0] for row in page.rows("#freshness")] == [name[accounts.get(scope, scope)]]
    # Each leads to its own.
    page.js("document.querySelector('#currencies a').click()")
    page.wait("document.getElementById('account').value === 'all EUR'")
    assert page.complaints() == []


def test_a_single_currency_is_not_told_apart(shared: Page) -> None:
    shared.choose("all", "all")
    assert not shared.js("document.getElementById('currencies').checkVisibility()")


@in_odd_world
@pytest.mark.parametrize(
    ("language", "warning"),
    [("en", "October 2026 · Store: -$15.50"), ("es", "Octubre de 2026 · Store: -15,50 US$")],
)
def test_categories_above_the_total_are_shown_and_warned_of(
    page: Page, odd: Path, language: str, warning: str
) -> None:
    page.open(odd.with_name(f"{language}.html"), "period=2026-10&account=AC2")
    assert page.texts("#overlaps li") == [warning]
    other = next(row for row in page.rows("#categories") if "-" in row[1])
    assert other[1] == warning.partition(": ")[2]
    assert other[0] in page.text("#overlaps p")
    # Of the other accounts there is nothing to warn of.
    page.choose("2026-10", "AC1")
    assert not page.js("document.getElementById('overlaps').checkVisibility()")
    assert page.complaints() == []


@in_odd_world
def test_a_month_without_costs_keeps_its_place(page: Page, odd: Path) -> None:
    page.open(odd, "period=2026-10&account=AC1")
    assert Texts("en").say("page.month.no_usage") in page.text("#month")
    traces = page.js(
        "document.querySelector('[data-chart=costs] .plot').data.map(({ x, y }) => [x, y[1]])"
    )
    assert traces
    assert all(trace == [["2026-09", "2026-10", "2026-11"], None] for trace in traces)
    assert not page.js("document.querySelector('[data-chart=month] .empty').checkVisibility()")
    assert page.complaints() == []


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
        "page_completeness": "page_period", "page_completeness_days": "usage_date",
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
    first = "(select min(account_sid) from marts.page_freshness)"
    for name in tables:
        statements.append(
            f"insert into marts.{name} select * exclude (n) replace ('AC' || n as account_sid) "
            f"from marts.{name}, {more} where account_sid = {first}"
        )
    statements += [
        "insert into marts.page_scopes select * exclude (n) replace ('AC' || n as account_sid, "
        "'Shop ' || n as account_name, (10 + n)::integer as position) "
        f"from marts.page_scopes, {more} where account_sid = {first}",
        "insert into marts.page_freshness select * exclude (n) replace ('AC' || n as account_sid, "
        "case scope when 'all' then scope else 'AC' || n end as scope, "
        "'Shop ' || n as account_name, (10 + n)::integer as position) "
        f"from marts.page_freshness, {more} where account_sid = {first}",
    ]
    return statements


def test_the_same_warehouse_gives_the_same_file(warehouse: Warehouse, tmp_path: Path) -> None:
    settings = Settings(data_root=warehouse.root)
    report.fn(settings, tmp_path / "one", ["html"])
    report.fn(settings, tmp_path / "two", ["html"])
    one, two = [(tmp_path / name / "index.html").read_bytes() for name in ("one", "two")]
    assert one == two
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["index.html"]
    # By luck they may be alike: nothing is left in the order the database happens to find it in.
    with open_published(settings) as connection:
        figures = read_page(connection, Texts("en"), "UTC")
    for key in ("countries", "categoryTitles"):
        assert list(figures[key]) == sorted(figures[key])
    codes = [int(code) for code in figures["errorTexts"]]
    assert codes == sorted(codes)
    for series in figures["days"]["series"].values():
        assert list(series["kpis"]) == sorted(series["kpis"])


def test_what_an_earlier_version_published_has_no_page(publish: Callable[..., Settings]) -> None:
    settings = publish()
    with pytest.raises(WarehouseError, match="run `twilio-warehouse rebuild` first"):
        report.fn(settings, formats=["html"])
    report.fn(settings)
    assert not (settings.reports / "index.html").exists()
