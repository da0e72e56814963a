"""Every figure of the page is SQL's, whatever is chosen."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.settings import Settings
from flows.texts import Texts
from simulator.truth import expected_reports
from simulator.world import World
from tests.flows.conftest import NOW, Warehouse
from tests.flows.page.browser import Page
from tests.flows.page.site import Select, published, shown, write

# All that is looked at of a choice, in one go: texts with plain spaces, rows as lists of cells.
SEEN = """(() => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const text = (one) => one.textContent.replace(/\\s+/g, " ").trim();
    const rows = (id) => all(`#${id} tbody tr`).map((row) => [...row.cells].map(text));
    const data = (name) => document.querySelector(`[data-chart=${name}] .plot`).data ?? [];
    const days = (name) => data(name).map(({ x, y }) => Object.fromEntries(
        x.map((key, index) => [key, y[index]]).filter(([, value]) => value !== null)));
    return {
        titles: all("#kpis .card h3").map(text),
        values: all("#kpis .card .value .number").map(text),
        looks: all("#kpis .card").map((card) => [
            card.classList.contains("met"), card.classList.contains("missed"),
            card.querySelector(".number").classList.contains("provisional")]),
        ...Object.fromEntries(["groups", "errors", "categories", "recipients", "freshness"]
            .map((id) => [id, rows(id)])),
        completeness: all("#completeness .strip .quiet").map(text),
        drawn: { delivery: days("delivery"), volume: days("volume"), costs: days("costs"),
            hours: data("hours")[0]?.z ?? [] },
    };
})()"""
PER_PIECE = ("cost_per_message", "cost_per_segment", "cost_per_call")


@pytest.mark.parametrize(("language", "chosen"), [("en", r".*"), ("es", r"last_30_days")])
def test_every_figure_of_each_choice_is_what_sql_says(
    page: Page, warehouse: Warehouse, tmp_path: Path, language: str, chosen: str
) -> None:
    page.open(write(Settings(data_root=warehouse.root), language, tmp_path))
    assert page.js("document.documentElement.lang") == language
    with published(warehouse.root) as select:
        scopes = [row[0] for row in select("select distinct scope from marts.account_scopes")]
        periods = [row[0] for row in select("select page_period from marts.page_periods")]
        assert len(scopes) == 4
        assert {"last_7_days", "2026-10", "all"} <= set(periods)
        periods = [period for period in periods if re.fullmatch(chosen, period)]
        seen = set()
        for period in periods:
            for scope in scopes:
                page.choose(period, scope)
                seen.add(assert_choice(page, select, period, scope, language))
    # Different choices have different figures.
    assert len(seen) > len(periods) * len(scopes) * 0.7
    assert page.complaints() == []


def assert_choice(
    page: Page, select: Select, period: str, scope: str, language: str
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
        f"select kpi, {title}, unit, value, is_met, is_settled from marts.page_kpis "
        "join marts.kpis using (kpi) where page_period = $1 and account_sid = $2 order by position",
        period, scope,
    )  # fmt: skip
    seen = page.js(SEEN)
    assert seen["titles"] == [row[1] for row in kpis]
    assert seen["values"] == [
        shown(row[3], row[2], language, 4 if row[0] in PER_PIECE else 2) for row in kpis
    ]
    assert seen["looks"] == [
        [row[4] is True, row[4] is False, row[3] is not None and not row[5]] for row in kpis
    ]

    groups = select(
        "select message_count, inbound_count, attempted_count, delivery_rate, error_rate, "
        "message_cost, unpriced_count from marts.page_groups where page_period = $1 "
        "and account_sid = $2 and dimension = 'channel' order by message_count desc, member",
        period, scope,
    )  # fmt: skip
    assert [[cell.rstrip("*") for cell in row[1:]] for row in seen["groups"]] == [
        [count(a), count(b), count(c), share(d), share(e), money(f), count(g)]
        for a, b, c, d, e, f, g in groups
    ]

    errors = select(
        f"select error_code, {title}, message_count, failed_count, share_of_attempted, "
        "message_cost from marts.page_errors where page_period = $1 and account_sid = $2 "
        "order by message_count desc, error_code",
        period, scope,
    )  # fmt: skip
    rows = seen["errors"]
    assert [[*row[:2], *row[3:6]] for row in rows] == [
        [str(code) if code else "–", count(a), count(b), share(c), money(d)]
        for code, _, a, b, c, d in errors
    ]
    assert all(row[2].startswith(text) for row, (_, text, *_) in zip(rows, errors, strict=True))

    categories = select(
        f"select {title}, cost, share_of_cost from marts.page_categories "
        "where page_period = $1 and account_sid = $2 order by cost desc, cost_category",
        period, scope,
    )  # fmt: skip
    rows = seen["categories"]
    assert [row[:3] for row in rows[: len(categories)]] == [
        [name, money(cost), share(part)] for name, cost, part in categories
    ]
    if categories:
        (total,) = [row[3] for row in kpis if row[0] == "total_cost"]
        assert [row[1] for row in rows[len(categories) :]] == [money(total)]

    recipients = select(
        "select recipient, message_count, delivered_count, failed_count, reply_count, message_cost "
        "from marts.page_recipients where page_period = $1 and account_sid = $2 "
        "order by recipient_rank",
        period, scope,
    )  # fmt: skip
    assert [[row[1], *row[3:8]] for row in seen["recipients"]] == [
        [name, count(a), count(b), count(c), count(d), money(e)]
        for name, a, b, c, d, e in recipients
    ]
    assert_completeness(seen, select, period, scope, language)
    assert_series(seen["drawn"], select, period, scope)
    return tuple(seen["values"])


def assert_completeness(
    seen: dict[str, Any], select: Select, period: str, scope: str, language: str
) -> None:
    """Completeness and freshness of a choice are those of the marts."""
    texts = Texts(language)
    counts: dict[str, list[str]] = {}
    for group, state, count in select(
        "select channel_group, state, day_count from marts.page_completeness "
        "where page_period = $1 and account_sid = $2 order by channel_group, state",
        period, scope,
    ):  # fmt: skip
        counts.setdefault(group, []).append(f"{texts.value('state', state)}: {count}")
    assert [text.partition(" – ")[2] for text in seen["completeness"]] == [
        " · ".join(states) for states in counts.values()
    ]
    assert [row[0] for row in seen["freshness"]] == [
        name
        for (name,) in select(
            "select account_name from marts.page_freshness where scope = $1 order by position",
            scope,
        )
    ]


def assert_series(drawn: dict[str, Any], select: Select, period: str, scope: str) -> None:
    """What the charts draw of a choice is what the marts hold."""
    ((start, end),) = select(
        "select start_date, end_date from marts.page_periods where page_period = $1",
        period,
    )
    days = select(
        "select figure_date, attempted_count, delivery_rate from marts.page_days "
        "where calendar = 'local' and account_sid = $1 and figure_date >= $2 and figure_date < $3",
        scope, start, end,
    )  # fmt: skip
    bars, line = drawn["delivery"]
    assert bars == pytest.approx({str(day): count for day, count, _ in days})
    assert line == pytest.approx({str(day): rate for day, _, rate in days if rate is not None})

    channels = select(
        "select channel, message_date, message_count from marts.page_channel_days "
        "where direction = 'outbound' and account_sid = $1 and message_date >= $2 "
        "and message_date < $3 order by all",
        scope, start, end,
    )  # fmt: skip
    wanted: dict[str, dict[str, int]] = {}
    for channel, day, count in channels:
        wanted.setdefault(channel, {})[str(day)] = count
    assert drawn["volume"] == list(wanted.values())

    hours = select(
        "select weekday, hour_of_day, delivery_rate from marts.page_hours where page_period = $1 "
        "and account_sid = $2 and delivery_rate is not null",
        period, scope,
    )  # fmt: skip
    grid = drawn["hours"]
    assert {
        (day + 1, hour): rate
        for day, row in enumerate(grid)
        for hour, rate in enumerate(row)
        if rate is not None
    } == pytest.approx({(day, hour): rate for day, hour, rate in hours})

    costs = select(
        "select page_period, sum(cost) from marts.page_categories where account_sid = $1 "
        "and page_period like '2%' group by all",
        scope,
    )
    months: dict[str, float] = {}
    for trace in drawn["costs"]:
        for month, cost in trace.items():
            months[month] = months.get(month, 0) + cost
    assert months == pytest.approx({month: float(cost) for month, cost in costs})


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


# From the best to the worst: what all accounts are together is the worst of them.
STATES = ("complete", "over", "short", "no usage", "not extracted")


def test_completeness_is_the_simulators_truth(
    shared: Page, world: World, first_day: datetime
) -> None:
    rows = expected_reports(world, NOW, "UTC", first_day)["completeness"]
    texts = Texts("en")
    names = {account.sid: account.name for account in world.accounts}
    first = date(2026, 10, 1)  # usage is read from the first day of a month
    assert first == min(row["usage_date"] for row in rows)
    for scope, accounts in [("all", list(names)), *((sid, [sid]) for sid in names)]:
        mine = [row for row in rows if row["account_sid"] in accounts]
        states: dict[tuple[str, date], str] = {}
        for row in mine:
            key = (row["channel_group"], row["usage_date"])
            states[key] = max(states.get(key, "complete"), row["state"], key=STATES.index)
        shared.choose("all", scope)
        days = [first + timedelta(days=index) for index in range((NOW.date() - first).days + 1)]
        assert shared.js(
            "[...document.querySelectorAll('#completeness .strip svg')].map((strip) =>"
            " [...strip.querySelectorAll('title')].map((title) => title.textContent))"
        ) == [
            [
                f"{day:%a, %b} {day.day}, {day.year}: "
                + (texts.value("state", states[group, day]) if (group, day) in states else "–")
                for day in days
            ]
            for group in sorted({group for group, _ in states})
        ]
        gaps = [row for row in mine if row["state"] != "complete"]
        found = shared.rows("#completeness")
        assert sorted(cell for row in found for cell in row[3:]) == sorted(
            cell
            for row in gaps
            for cell in (
                texts.value("state", row["state"]),
                *(
                    "–" if row[name] is None else f"{row[name]:,}"
                    for name in ("message_count", "usage_count", "difference")
                ),
            )
        )
        assert {row[1] for row in found} == {names[row["account_sid"]] for row in gaps}
    assert len(gaps) < len(rows)


def test_freshness_says_how_far_each_account_was_read(shared: Page, world: World) -> None:
    shared.choose("all", "all")
    read = ["active", "Oct 6, 2026, 00:00", *["Nov 10, 2026, 06:00"] * 3, "read"]
    main, *others = world.accounts
    assert shared.rows("#freshness") == [
        [account.name, *read] for account in (main, *sorted(others, key=lambda one: one.name))
    ]
    shared.choose("last_7_days", others[0].sid)
    assert shared.rows("#freshness") == [[others[0].name, *read]]
