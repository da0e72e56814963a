"""Answers no documentation promises: what can be kept is kept, and nothing is lost in silence."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tenacity.wait import wait_none

from flows import twilio_api
from flows.datasets import DATASETS
from flows.lake import Lake
from flows.scanning import Scans
from flows.tasks.normalize import Intake
from simulator.process import Server
from tests.flows.conftest import NOW, Warehouse, lake_only
from transforms.tables import EXTRACTIONS, MESSAGES, REJECTS

SID = "AC" + "0" * 32
DAY = timedelta(days=1)
Answer = Callable[[str, dict[str, list[str]]], tuple[int, bytes] | None]


def message(
    number: int, sent: datetime | None, created: datetime | None = None, **more: Any
) -> Any:
    """A message as Twilio writes it."""
    at = sent or created or NOW
    return {
        "sid": f"SM{number:032x}", "account_sid": SID, "direction": "outbound-api",
        "status": "delivered", "from": "+15005550100", "to": "+15005550101", "body": "hello",
        "date_created": format_datetime(created or at), "date_updated": format_datetime(at),
        "date_sent": format_datetime(sent) if sent else None, "price": "-0.0075",
        "price_unit": "USD", "num_segments": "1", "num_media": "0", "error_code": None, **more,
    }  # fmt: skip


def listing(messages: list[Any], ordered_by: str = "date_sent") -> Answer:
    """One page of all messages, filtered as Twilio does."""

    def instant(entry: Any, field: str) -> datetime:
        return datetime.strptime(entry[field] or entry["date_created"], "%a, %d %b %Y %H:%M:%S %z")

    def answer(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        if not path.endswith("/Messages.json"):
            return None
        shown = sorted(messages, key=lambda entry: instant(entry, ordered_by), reverse=True)
        for name, keep in (
            ("DateSent>", lambda at, bound: at >= bound),
            ("DateSent<", lambda at, bound: at <= bound),
        ):
            if name in query:
                bound = datetime.fromisoformat(query[name][0])
                shown = [
                    entry for entry in shown
                    if entry["date_sent"] and keep(instant(entry, "date_sent"), bound)
                ]  # fmt: skip
        return 200, json.dumps({"messages": shown, "next_page_uri": None}).encode()

    return answer


@contextmanager
def odd_twilio(tmp_path: Path, *answers: Answer, **settings: str) -> Iterator[Warehouse]:
    """A warehouse of an account that answers by the first of these that has an answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            found = (answer(url.path, parse_qs(url.query)) for answer in answers)
            status, content = next((one for one in found if one), (200, _empty(url.path)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    known = Server(url, SID, "token", "SK" + "0" * 32, "secret", NOW.isoformat(), 0)
    try:
        yield Warehouse(tmp_path, known, {"WAREHOUSE_INITIAL_DAYS": "3", **settings})
    finally:
        server.shutdown()
        server.server_close()


def _empty(path: str) -> bytes:
    lists = {"Accounts.json": "accounts", "Daily.json": "usage_records",
             "Triggers.json": "usage_triggers", "Messages.json": "messages"}  # fmt: skip
    key = lists.get(path.rpartition("/")[2], "nothing")
    records = [{"sid": SID, "status": "active", "owner_account_sid": SID}]
    content = {key: records if key == "accounts" else [], "next_page_uri": None}
    return json.dumps(content).encode()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_api, "_PAUSE", wait_none())


def run(warehouse: Warehouse, now: datetime = NOW) -> Any:
    with warehouse.active():
        return lake_only(now, deep=False)


def held(warehouse: Warehouse) -> set[int]:
    rows = Lake(warehouse.root / "lake").read(MESSAGES)
    return {int(sid[2:], 16) for sid in rows["message_sid"].to_pylist()}


def rejects(warehouse: Warehouse) -> list[dict[str, Any]]:
    return Lake(warehouse.root / "lake").read(REJECTS).to_pylist()  # type: ignore[no-any-return]


def test_a_record_no_rule_foresaw_goes_into_quarantine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours in one record costs no other record, of whatever window."""
    dataset = DATASETS["messages"]

    def poisoned(records: Any, *rest: Any) -> Any:
        if "poison" in records["status"].to_pylist():
            raise KeyError("secret text of a body")
        return dataset.normalize(records, *rest)

    monkeypatch.setitem(DATASETS, "messages", dataclasses.replace(dataset, normalize=poisoned))
    messages = [message(i, NOW - timedelta(hours=i)) for i in range(1, 60)]
    messages[30]["status"] = "poison"
    with odd_twilio(tmp_path, listing(messages), WAREHOUSE_UNSENT_PAGES="0") as odd:
        run(odd)
    assert held(odd) == set(range(1, 60)) - {31}
    (reject,) = rejects(odd)
    assert reject["reason"] == "it could not be read (KeyError)"
    assert "hello" not in reject["record"]


def test_a_message_whose_record_became_no_row_has_not_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = DATASETS["messages"]

    def poisoned(records: Any, *rest: Any) -> Any:
        if "poison" in records["status"].to_pylist():
            raise KeyError
        return dataset.normalize(records, *rest)

    monkeypatch.setitem(DATASETS, "messages", dataclasses.replace(dataset, normalize=poisoned))
    messages = [message(i, NOW - timedelta(hours=20 + i)) for i in range(1, 9)]
    with odd_twilio(tmp_path, listing(messages), WAREHOUSE_UNSENT_PAGES="0") as odd:
        run(odd)
        assert held(odd) == set(range(1, 9))
        messages[1]["price"] = "much"
        messages[2]["status"] = "poison"
        del messages[3]
        with odd.active():
            lake_only(NOW + DAY, deep=True)
    rows = Lake(tmp_path / "lake").read(MESSAGES).to_pylist()
    missing = {int(row["message_sid"][2:], 16) for row in rows if row["missing_since"]}
    assert missing == {4}
    assert len(rejects(odd)) == 2


def test_rows_that_could_not_be_kept_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for a while: no window counts as read."""
    messages = [message(i, NOW - timedelta(hours=i)) for i in range(1, 60)]

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with odd_twilio(tmp_path, listing(messages)) as odd:
        with monkeypatch.context() as patched:
            patched.setattr(Intake, "put_aside", full)
            first = run(odd)
        said = {one.outcome for one in first.extractions if "messages" in one.window.dataset}
        assert said == {"failed"}
        assert held(odd) == set()
        run(odd, NOW + DAY)
    assert held(odd) == set(range(1, 60))


def test_a_task_that_dies_without_a_word_is_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [message(i, NOW - timedelta(hours=i)) for i in range(1, 60)]

    def dies(self: Scans, window: Any) -> Any:
        if window.start.day == 8:
            raise RuntimeError("a defect")
        return window

    with odd_twilio(tmp_path, listing(messages), WAREHOUSE_UNSENT_PAGES="0") as odd:
        with monkeypatch.context() as patched:
            patched.setattr(Scans, "left_of", dies)
            first = run(odd)
        failed = [one for one in first.extractions if one.outcome == "failed"]
        assert [one.window.start.day for one in failed] == [8]
        run(odd, NOW + DAY)
    assert held(odd) == set(range(1, 60))


def test_half_a_character_and_bytes_that_are_no_text_cost_nothing(tmp_path: Path) -> None:
    messages = [message(1, NOW - DAY, body="cut \ud83d"), message(2, NOW - 2 * DAY)]

    def broken_bytes(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        answer = listing(messages)(path, query)
        return answer and (200, answer[1].replace(b"+15005550101", b"Shop\xff\xfe"))

    with odd_twilio(tmp_path, broken_bytes) as odd:
        odd.run("daily", now=NOW)  # DuckDB must be able to read it too
    assert held(odd) == {1, 2}
    assert rejects(odd) == []


def test_masked_numbers_are_nowhere_in_plain(tmp_path: Path) -> None:
    messages = [
        message(1, NOW - DAY, to="+1 (500) 555-0102", tags={"contact": "+15005550103"}),
        message(2, NOW - DAY, to="sip:+15005550104@example.com", price="a lot"),
        message(3, NOW - DAY, to="whatsapp: +15005550105", date_created=None),
    ]
    settings = {"WAREHOUSE_PHONE_NUMBERS": "masked", "WAREHOUSE_PHONE_KEY": "key"}
    with odd_twilio(tmp_path, listing(messages[:1]), **settings) as odd:
        run(odd)
    with odd_twilio(tmp_path, listing(messages), **settings) as odd:
        run(odd, NOW + timedelta(hours=1))
    text = str(Lake(tmp_path / "lake").read(MESSAGES).to_pylist()) + str(rejects(odd))
    assert "a lot" in text
    for number in range(5_005_550_100, 5_005_550_106):
        assert str(number) not in text
    assert "555-010" not in text


@pytest.mark.parametrize(
    ("waited", "more"),
    [
        (range(1, 8), 1),  # from the first page on
        (range(5, 8), 0),  # from the second
        (range(5, 6), 52),  # on the second alone, of more than are checked at once
    ],
)
def test_a_list_in_another_order_than_documented_hides_no_message(
    tmp_path: Path, waited: range, more: int
) -> None:
    """Created 20 days ago, sent yesterday: far down in a list by date_created."""
    messages = [message(i, NOW - i * timedelta(hours=5)) for i in range(1, 12)]
    messages += [
        message(100 + i, NOW - 60 * timedelta(hours=1) - i * timedelta(minutes=10))
        for i in range(more)
    ]
    # Others that waited for hours show that the order is another one.
    messages += [
        message(20 + i, NOW - i * timedelta(hours=7), NOW - i * timedelta(hours=8)) for i in waited
    ]
    late = message(99, NOW - DAY, NOW - 20 * DAY)
    messages.append(message(50, NOW - 4 * DAY))
    assert len(messages) % 5 == 0  # where the scan ends; the last one is on the page after that
    pages = _by_pages([*messages, late])
    with odd_twilio(tmp_path, pages) as odd:
        run(odd)
    assert 99 in held(odd)


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S +0000", "%a, %d %b %Y %H:%M:%S GMT"])
def test_what_windows_left_to_a_list_that_goes_back_up_is_read(tmp_path: Path, form: str) -> None:
    """Its first page reaches 60 hours back and all newer windows wait for it; it then stops at the
    second, which is newer. Of a form that Twilio's dates do not have, no order is seen."""
    hours = [1, 2, 3, 4, 60, *range(5, 15), 30, 31, 40, 70]
    messages = [message(hour, NOW - hour * timedelta(hours=1)) for hour in hours]
    filtered = listing(messages)
    sent = (NOW - 60 * timedelta(hours=1)).strftime(form)
    unfiltered = [*messages[:4], {**messages[4], "date_sent": sent}, *messages[5:]]

    def up_and_down(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        if not path.endswith("/Messages.json") or "DateSent>" in query:
            return filtered(path, query)
        page = int(query.get("Page", ["0"])[0])
        if page:
            time.sleep(1)  # meanwhile the windows are told what the first page has passed
        shown = unfiltered[5 * page : 5 * page + 5]
        more = f"{path}?Page={page + 1}"
        return 200, json.dumps({"messages": shown, "next_page_uri": more}).encode()

    settings = {"WAREHOUSE_UNSENT_PAGES": "2", "WAREHOUSE_INITIAL_DAYS": "5"}
    with odd_twilio(tmp_path, up_and_down, **settings) as odd:
        run(odd)
    assert held(odd) == set(hours)


def _by_pages(messages: list[Any]) -> Answer:
    """Unfiltered lists by date_created, five messages a page."""
    filtered = listing(messages)

    def answer(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        if not path.endswith("/Messages.json") or "DateSent>" in query:
            return filtered(path, query)
        shown = sorted(
            messages,
            key=lambda entry: datetime.strptime(entry["date_created"], "%a, %d %b %Y %H:%M:%S %z"),
            reverse=True,
        )
        first = int(query.get("Page", ["0"])[0]) * 5
        more = f"{path}?Page={first // 5 + 1}" if first + 5 < len(shown) else None
        page = {"messages": shown[first : first + 5], "next_page_uri": more}
        return 200, json.dumps(page).encode()

    return answer


def test_what_was_left_to_a_scan_that_failed_is_asked_for_again(tmp_path: Path) -> None:
    """Windows leave to a scan what it has passed; its messages were received, but not all."""
    messages = [message(i, NOW - i * timedelta(hours=5)) for i in range(1, 30)]
    is_out = [True]

    def out(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        return (503, b"{}") if is_out[0] and query.get("Page") == ["2"] else None

    with odd_twilio(tmp_path, out, _by_pages(messages), WAREHOUSE_INITIAL_DAYS="5") as odd:
        run(odd)
        ledger = Lake(tmp_path / "lake").read(EXTRACTIONS).to_pylist()
        (left,) = [row for row in ledger if row["dataset"] == "messages" and row["detail"]]
        # The order of one page of five was seen, and of its last second there may be more.
        passed = NOW - 5 * timedelta(hours=5) + timedelta(seconds=1)
        assert (left["outcome"], left["window_start"]) == ("failed", passed)
        is_out[0] = False
        # One that only a list read whole shows, of the time left to the scan.
        messages.append(message(99, NOW - timedelta(hours=18)))
        run(odd, NOW + DAY)
    assert 99 in held(odd)


@pytest.mark.parametrize(("page", "checked"), [(8, 1), (9, 9), (16, 9), (17, 17)])
def test_windows_hear_how_far_a_scan_got_every_few_pages(
    tmp_path: Path, page: int, checked: int
) -> None:
    messages = [message(i, NOW - i * timedelta(hours=1)) for i in range(1, 101)]

    def out(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        return (503, b"{}") if query.get("Page") == [str(page)] else None

    with odd_twilio(tmp_path, out, _by_pages(messages), WAREHOUSE_INITIAL_DAYS="5") as odd:
        run(odd)
    assert held(odd) == set(range(1, 101))
    ledger = Lake(tmp_path / "lake").read(EXTRACTIONS).to_pylist()
    (left,) = [row for row in ledger if row["dataset"] == "messages" and row["detail"]]
    passed = NOW - 5 * checked * timedelta(hours=1) + timedelta(seconds=1)
    assert (left["outcome"], left["window_start"]) == ("failed", passed)


def test_a_long_list_in_its_order_is_read_once(tmp_path: Path) -> None:
    messages = [message(i, NOW - i * timedelta(hours=1)) for i in range(1, 101)]
    with odd_twilio(tmp_path, _by_pages(messages), WAREHOUSE_INITIAL_DAYS="5") as odd:
        run(odd)
    ledger = Lake(tmp_path / "lake").read(EXTRACTIONS).to_pylist()
    (scan,) = [row for row in ledger if row["dataset"] == "unsent_messages"]
    assert (scan["page_count"], scan["record_count"]) == (20, 100)


def test_usage_and_scans_that_failed_are_made_up_for(tmp_path: Path) -> None:
    unsent = [message(i, None, NOW - i * timedelta(hours=9), status="canceled") for i in (1, 2, 5)]
    is_out = [True]

    def out(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        is_usage_of_october = query.get("StartDate", [""])[0].startswith("2026-10")
        is_scan = path.endswith("/Messages.json") and "DateSent>" not in query
        return (503, b"{}") if is_out[0] and (is_usage_of_october or is_scan) else None

    with odd_twilio(tmp_path, out, listing(unsent), WAREHOUSE_INITIAL_DAYS="15") as odd:
        run(odd)
        assert held(odd) == set()
        is_out[0] = False
        run(odd, NOW + DAY)
        assert held(odd) == {1, 2, 5}
        ledger = Lake(tmp_path / "lake").read(EXTRACTIONS).to_pylist()
    october = [
        row["outcome"] for row in ledger
        if row["dataset"] == "usage_records"
        and row["window_start"] == datetime(2026, 10, 1, tzinfo=UTC)
    ]  # fmt: skip
    assert october == ["failed", "empty"]


def test_a_wrong_api_key_publishes_nothing(tmp_path: Path) -> None:
    def refused(path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        return 401, b'{"code": 20003, "message": "Authenticate", "status": 401}'

    key = {
        "TWILIO_AUTH_TOKEN": "", "TWILIO_API_KEY": "SK" + "0" * 32, "TWILIO_API_SECRET": "bad",
    }  # fmt: skip
    with odd_twilio(tmp_path, refused, **key) as odd, pytest.raises(Exception, match="20003"):
        odd.run("daily", now=NOW)
    assert not (tmp_path / "warehouse.duckdb").exists()
    assert not list(tmp_path.glob("**/*.parquet"))


def test_days_an_account_keeps_no_more_are_told(tmp_path: Path) -> None:
    def keeps_ten_days(path: str, query: dict[str, list[str]]) -> tuple[int, bytes] | None:
        if query.get("DateSent>", ["9"])[0] >= f"{NOW - 10 * DAY:%Y-%m-%d}":
            return None
        said = "Date range specified in query is outside of retention window of 10 days"
        return 400, json.dumps({"code": 20004, "message": said, "status": 400}).encode()

    with odd_twilio(tmp_path, keeps_ten_days, WAREHOUSE_UNSENT_PAGES="0") as odd:
        summary = odd.run("backfill", since=(NOW - 13 * DAY).date(), now=NOW)
    assert [notice for notice in summary.notices if "no longer keeps messages" in notice]
