"""What must be known is a row of schema `alerts`; what is as usual is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.sql.conftest import Build
from tests.sql.lake_rows import LAST_RUN, LakeRows, at, message, priced, read, usage

pytestmark = pytest.mark.xdist_group("sql-alerts")

FIRST = "2026-10-05"
NOW = "2026-11-10T06:00"
DAYS = [datetime(2026, 10, 5, tzinfo=UTC) + timedelta(days=n) for n in range(37)]
YESTERDAY = datetime(2026, 11, 9, tzinfo=UTC)  # a Monday, whole in the time zone of the reports
THE_RUN_BEFORE = LAST_RUN - timedelta(days=1)

ACCOUNT = {
    name: f"AC{number:02d}{name}"
    for number, name in enumerate(
        (
            "quiet", "blocked", "lost", "failing", "silent", "fewer", "more", "leaving", "dear",
            "trigger", "negative", "new", "novel", "denied", "old", "gap", "expiring", "rejected",
            "backlog",
        )
    )
}  # fmt: skip


def messages_of(
    name: str, count: int, day: datetime, status: str = "delivered", **values: Any
) -> list[dict[str, Any]]:
    """So many SMS of a day, from 09:00 UTC on, a minute apart, priced."""
    return [
        message(
            0, f"{day:%Y-%m-%d}T{9 + n // 60:02d}:{n % 60:02d}", status,
            **{
                "message_sid": f"SM{name}{day:%m%d}{status}{n}",
                "account_sid": ACCOUNT[name],
                **priced("-0.01"),
                **values,
            },
        )
        for n in range(count)
    ]  # fmt: skip


def usual_days(name: str, count: int = 100, but: datetime | None = None) -> list[dict[str, Any]]:
    """So many messages each day up to yesterday, save one day."""
    return [row for day in DAYS[:-1] if day != but for row in messages_of(name, count, day)]


def reads_of(name: str) -> list[dict[str, Any]]:
    """Everything was read now, and some of it by the run before."""
    account_sid = ACCOUNT[name]
    return [
        read("messages", FIRST, "2026-11-09T06:00", THE_RUN_BEFORE, account_sid=account_sid),
        *(read(d, FIRST, NOW, account_sid=account_sid) for d in ("messages", "usage_records")),
    ]


def usage_of(name: str, cost: str, yesterday: str | None = None) -> list[dict[str, Any]]:
    """Twilio's total of each day, and of yesterday."""
    return [
        usage(
            f"{day:%Y-%m-%d}", category, yesterday or cost if day == YESTERDAY else cost,
            account_sid=ACCOUNT[name],
        )
        for day in DAYS[:-1]
        for category in ("totalprice", "sms")
    ]  # fmt: skip


@pytest.fixture(scope="module")
def lake() -> LakeRows:
    """An account in order, and one for everything that is not."""
    quiet_messages = [
        row for name in ("quiet", "trigger", "negative") for row in usual_days(name, 30)
    ]
    incidents = [
        *usual_days("blocked", but=YESTERDAY),
        *messages_of("blocked", 60, YESTERDAY),
        *messages_of("blocked", 40, YESTERDAY, "undelivered", error_code=30007),
        # not the first of its kind
        *messages_of("blocked", 1, DAYS[0], "undelivered", error_code=30007),
        *usual_days("lost", but=YESTERDAY),
        *messages_of("lost", 50, YESTERDAY),
        *messages_of("lost", 50, YESTERDAY, "sent"),
        *usual_days("failing", but=YESTERDAY),
        *messages_of("failing", 87, YESTERDAY),
        *messages_of("failing", 13, YESTERDAY, "undelivered", error_code=30003),
        *messages_of("failing", 1, DAYS[0], "undelivered", error_code=30003),
        *usual_days("silent", but=YESTERDAY),
        *usual_days("fewer", but=YESTERDAY),
        *messages_of("fewer", 30, YESTERDAY),
        *usual_days("more", but=YESTERDAY),
        *messages_of("more", 250, YESTERDAY),
        *usual_days("leaving"),
        *messages_of("leaving", 12, YESTERDAY, "received", direction="inbound",
                     is_opt_out_request=True),
        *usual_days("novel"),
        *messages_of("novel", 6, YESTERDAY, "undelivered", error_code=63999),
        *messages_of("backlog", 25, DAYS[3], price=None),
        # These have reason to wait.
        *messages_of("backlog", 5, DAYS[2], "scheduled", price=None, sent_at=None),
    ]  # fmt: skip
    names = set(ACCOUNT) - {"denied", "old", "gap", "expiring", "backlog", "new"}
    denied, old, gap, expiring, backlog, new = (
        ACCOUNT[name] for name in ("denied", "old", "gap", "expiring", "backlog", "new")
    )
    ledger = [
        *(row for name in sorted(names) for row in reads_of(name)),
        read("messages", FIRST, "2026-11-09T06:00", THE_RUN_BEFORE, account_sid=denied),
        *(
            read(dataset, "2026-11-09", NOW, outcome="denied", account_sid=denied)
            for dataset in ("messages", "usage_records")
        ),
        read("messages", FIRST, "2026-11-08T06:00", at("2026-11-08T06:00"), account_sid=old),
        read("messages", "2026-11-08", NOW, outcome="failed", account_sid=old),
        read("messages", FIRST, "2026-11-01", account_sid=gap),
        read("messages", "2026-11-03", NOW, account_sid=gap),
        read("messages", "2025-09-01", "2025-10-20", account_sid=expiring),
        read("messages", "2025-10-21", NOW, account_sid=expiring),
        read("messages", FIRST, "2026-10-12", at("2026-10-12"), account_sid=backlog),
        read("messages", "2026-10-12", NOW, account_sid=backlog),
        read("messages", "2026-11-10", NOW, account_sid=new),
    ]
    return {
        "messages": quiet_messages + incidents,
        "extractions": ledger,
        "usage_records": [
            *usage_of("quiet", "10"),
            *usage_of("dear", "10", yesterday="30"),
            *usage_of("negative", "10"),
            usage("2026-11-08", "mms", "5", account_sid=ACCOUNT["negative"]),
        ],
        "accounts": [
            {
                "account_sid": account_sid, "name": f"Shop of {name}", "status": "active",
                "owner_account_sid": ACCOUNT["quiet"],
                "created_at": at("2026-11-09T20:00" if name == "new" else "2025-01-01"),
            }
            for name, account_sid in ACCOUNT.items()
        ],
        "usage_triggers": [
            {
                "usage_trigger_sid": f"UT{number}", "account_sid": ACCOUNT["trigger"],
                "name": "+34600000001", "usage_category": "sms", "trigger_by": "price",
                "trigger_value": Decimal(100), "current_value": Decimal(101), "fired_at": fired_at,
            }
            for number, fired_at in enumerate((at("2026-11-09T12:00"), at("2026-11-01"), None))
        ],
        "rejects": [
            {
                "run_id": "1", "dataset": "messages", "account_sid": ACCOUNT["rejected"],
                "rejected_at": rejected_at, "reason": "no date", "record": "{}",
            }
            for rejected_at in (LAST_RUN, LAST_RUN, at("2026-11-01"))
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def build(new_build: Callable[[], Build], lake: LakeRows) -> Build:
    """The models of that lake."""
    built = new_build()
    built.update(lake, warns={"assert_other_is_not_negative"})
    return built


def test_each_incident_raises_its_own_alert_and_no_other(build: Build) -> None:
    raised = build.query("select alert, account_sid, subject from alerts.open_alerts order by all")
    assert raised == sorted(
        [
            ("blocked_rate", ACCOUNT["blocked"], "sms"),
            ("delivery_rate", ACCOUNT["lost"], "sms"),
            ("error_rate", ACCOUNT["failing"], "sms"),
            ("silent_day", ACCOUNT["silent"], "messages"),
            ("volume_drop", ACCOUNT["fewer"], "messages"),
            ("volume_spike", ACCOUNT["more"], "messages"),
            ("opt_outs", ACCOUNT["leaving"], "opt_outs"),
            ("budget_exceeded", "all", "2026-11"),
            ("spend_spike", ACCOUNT["dear"], "total_cost"),
            ("usage_trigger", ACCOUNT["trigger"], "UT0"),
            ("negative_other", ACCOUNT["negative"], "2026-11"),
            ("new_account", ACCOUNT["new"], "account"),
            ("new_error_code", ACCOUNT["novel"], "63999"),
            ("account_denied", ACCOUNT["denied"], "access"),
            ("stale_data", ACCOUNT["old"], "messages"),
            ("incomplete_data", ACCOUNT["gap"], "messages"),
            ("unread_day", ACCOUNT["expiring"], "messages"),
            ("rejects", ACCOUNT["rejected"], "messages"),
            ("unsettled_backlog", ACCOUNT["backlog"], "messages"),
        ]
    )


@pytest.mark.parametrize(
    ("alert", "observed", "expected", "since"),
    [
        ("blocked_rate", 0.4, 0.1, "2026-11-09T04:00"),
        ("delivery_rate", 0.5, 0.8, "2026-11-09T04:00"),
        ("error_rate", 0.13, 0.12, "2026-11-09T09:00"),
        ("silent_day", 0, 100, "2026-11-08T23:00"),
        ("volume_drop", 30, 100, "2026-11-08T23:00"),
        ("volume_spike", 250, 100, "2026-11-08T23:00"),
        ("opt_outs", 12, 5, "2026-11-08T23:00"),
        ("budget_exceeded", 290, 100, "2026-11-01"),
        ("spend_spike", 30, 10, "2026-11-09"),
        ("usage_trigger", 100, 100, "2026-11-09T12:00"),
        ("negative_other", 5, 0, "2026-11-01"),
        ("new_account", 1, 0, NOW),
        ("new_error_code", 6, 0, "2026-11-08T23:00"),
        ("account_denied", 0, 0, NOW),
        ("stale_data", 48, 36, "2026-11-08T06:00"),
        ("incomplete_data", 2, 0, "2026-11-01"),
        ("unread_day", 14, 30, "2025-10-20"),
        ("rejects", 2, 0, NOW),
        ("unsettled_backlog", 25, 10, "2026-10-07T22:00"),
    ],
)
def test_an_alert_says_what_was_observed_and_what_expected(
    build: Build, alert: str, observed: float, expected: float, since: str
) -> None:
    ((found, wanted, began, language_is_kept),) = build.query(
        "select observed, expected, since, message = message_en from alerts.open_alerts "
        f"join marts.alert_messages using (alert, account_sid, subject) where alert = '{alert}'"
        .replace("select observed, expected, since", "select open_alerts.observed, "
                 "open_alerts.expected, open_alerts.since")
    )  # fmt: skip
    assert (found, wanted) == (pytest.approx(observed), pytest.approx(expected))
    assert began == at(since).replace(tzinfo=None)
    assert language_is_kept


def test_a_message_is_a_whole_sentence_in_both_languages(build: Build) -> None:
    texts = build.query("select message_en, message_es from marts.alert_messages")
    assert not [text for row in texts for text in row if "{" in text or not text.endswith(".")]
    assert (
        "Shop of blocked: 40.0 % of the sms messages tried 2026-11-09 05:00–11:00 were refused on "
        "purpose; at most 10.0 % is usual. Most often: 30007 (Filtered as spam)."
    ) in [english for english, _ in texts]
    assert (
        "Shop of dear: se gastaron 30,00 USD el 2026-11-09; ese día de la semana lo normal son "
        "10,00 USD. Sobre todo: SMS."
    ) in [spanish for _, spanish in texts]


def test_a_message_names_no_telephone_number_or_address(
    new_build: Callable[[], Build], lake: LakeRows
) -> None:
    build = new_build()
    accounts = [
        {**row, "name": f"ana@shop.example +34 600 000 00{n}"}
        for n, row in enumerate(lake["accounts"])
    ]
    silent = {
        **{name: () for name in lake},
        "messages": [m for m in lake["messages"] if m["account_sid"] == ACCOUNT["silent"]],
        "extractions": [
            row for row in lake["extractions"]
            if row["account_sid"] in (ACCOUNT["silent"], ACCOUNT["quiet"])
        ],
        "accounts": accounts,
    }  # fmt: skip
    build.update(silent)
    rows = build.query("select alert, message_en, message_es from marts.alert_messages")
    assert [alert for alert, *_ in rows] == ["silent_day"]
    assert not [row for row in rows if "@" in str(row) or "600" in str(row)]


def test_the_run_after_a_missed_one_says_so(new_build: Callable[[], Build]) -> None:
    build = new_build()
    build.update(
        {
            "extractions": [
                read("messages", FIRST, "2026-11-08T06:00", at("2026-11-08T06:00")),
                read("messages", "2026-11-08T06:00", NOW),
            ]
        }
    )
    assert build.query("select alert, account_sid, observed, expected, message from "
                       "alerts.open_alerts") == [
        (
            "missed_run", "all", 48.0, 36.0,
            "No run took place between 2026-11-08 07:00 and this one: 48 h; at most 36 h is usual.",
        )
    ]  # fmt: skip
