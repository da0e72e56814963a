"""Months as an owner lives them: what happened is told once, by its own alert; nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.tasks.alert import alert
from simulator.faults import Rule
from simulator.incidents import BlockedCampaign, CarrierOutage, SilentDay, SpendSpike
from simulator.world import World, WorldConfig
from tests.conftest import shared_folder
from tests.flows.living import Compiled, Life, compiled, showing
from tests.flows.sink import Sink
from tests.sql.conftest import Dbt

UNTIL = datetime(2026, 11, 24, 6, tzinfo=UTC)
LIVED_FROM = 30  # days of history before
BUDGET = 100_000


@pytest.fixture(scope="module")
def month() -> WorldConfig:
    """Thirty days of history and thirty to be lived."""
    return WorldConfig(messages=24_000, days=60, accounts=2, seed=1, until=UNTIL)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The models that lead to alerts."""
    dbt = Dbt(
        tmp_path_factory.mktemp("dbt"),
        shared_folder(tmp_path_factory) / "dbt",
        variables={"timezone": "UTC", "language": "en", "monthly_budget": BUDGET},
    )
    return compiled(dbt, tmp_path_factory.mktemp("compiled"), "open_alerts")


def live(life: Life, config: WorldConfig, days: range) -> Iterator[tuple[int, list[str]]]:
    """Days of a world, each with a run at six in the morning, and what the run said of alerts."""
    for day in days:
        now = config.start + timedelta(days=day, hours=6)
        life.live(now)
        yield day, alert(life.settings, now)


@pytest.mark.timeout(900)
def test_each_planted_incident_is_told_once_by_its_own_alert_and_ends(
    tmp_path: Path, sink: Sink, month: WorldConfig, models: Compiled
) -> None:
    main, sub = (account.sid for account in World(month).accounts)

    def hour(day: int, hour: int) -> datetime:
        return month.start + timedelta(days=day, hours=hour)

    incidents = (
        CarrierOutage(0, hour(31, 14), hour(31, 20)),
        BlockedCampaign(0, hour(33, 9), hour(33, 18)),
        SpendSpike(0, hour(35, 0), hour(36, 0)),
        SilentDay(0, hour(37, 0), hour(38, 0)),
    )
    with showing(month, incidents) as server:
        life = Life(tmp_path, server, models, {"WAREHOUSE_ALERT_URLS": sink.url})
        told: list[tuple[int, str]] = []
        raised: list[tuple[int, str, str]] = []
        over: list[int] = []
        for day, said in live(life, month, range(LIVED_FROM, 44)):
            # In the evening somebody revokes a key, and two days later puts it right.
            revoked = [Rule("denied", account=sub, status=401)] if day in (39, 40) else []
            server.set_faults(revoked)
            told += [(day, text) for text in sink.take()]
            raised += [
                (day, kind, account)
                for kind, account in life.query("select alert, account_sid from alerts.open_alerts")
            ]
            over += [day for line in said if line.startswith("Alert over")]
    assert sorted(raised) == [
        (32, "delivery_rate", main),
        (34, "blocked_rate", main),
        (36, "spend_spike", main),
        (38, "silent_day", main),
        (40, "account_denied", sub),
        (41, "account_denied", sub),
    ]
    assert [(day, text.splitlines()[0]) for day, text in told] == [
        (32, "twilio-warehouse: Messages do not arrive"),
        (34, "twilio-warehouse: Messages blocked"),
        (36, "twilio-warehouse: A dear day"),
        (38, "twilio-warehouse: A silent day"),
        (40, "twilio-warehouse: Access refused"),
    ]
    assert over == [33, 35, 37, 39, 42]


@pytest.mark.timeout(900)
def test_a_quiet_month_raises_none(
    tmp_path: Path, sink: Sink, month: WorldConfig, models: Compiled
) -> None:
    with showing(month) as server:
        life = Life(tmp_path, server, models, {"WAREHOUSE_ALERT_URLS": sink.url})
        days = list(live(life, month, range(LIVED_FROM, month.days + 1)))
        assert len(days) == 31
        assert [(day, said) for day, said in days if said] == []
        ((usual,),) = life.query(
            "select max(value) from marts.period_kpis "
            "where kpi = 'messages_sent' and period = 'day'"
        )
    assert usual > 100  # enough for every kind to be judged
    assert sink.take() == []
