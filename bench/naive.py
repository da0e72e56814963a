"""The script a user would write: everything into a list, a frame, a table, four aggregates.

Nothing incremental, nothing safe: no retries, no sub-account by default (the yardstick reads all
of them, so that both read the same), no late statuses, floats for money.
"""

from __future__ import annotations

import json
import os
import sys
from urllib.parse import urlsplit

import duckdb
import pandas as pd
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from bench.steps import Steps

BASE = os.environ["TWILIO_API_BASE_URL"]


class Local(TwilioHttpClient):
    """twilio-python's own HTTP client, sent to the simulator."""

    def request(self, method, url, *args, **kwargs):  # type: ignore[no-untyped-def]
        parts = urlsplit(url)
        target = f"{BASE}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return super().request(method, target, *args, **kwargs)


def main() -> None:
    """Read, load, aggregate; print what each step took as JSON."""
    steps = Steps()
    with steps.step("read"):
        client = Client(
            os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"], http_client=Local()
        )
        messages = []
        for account in client.api.v2010.accounts.list():
            messages += client.api.v2010.accounts(account.sid).messages.list(page_size=1000)
    with steps.step("frame"):
        frame = frame_of(messages)
    with steps.step("load and aggregate"), duckdb.connect(sys.argv[1]) as connection:
        connection.execute("create table messages as from frame")
        at = "coalesce(sent_at, created_at)"
        for name, sql in {
            "daily_volume": f"select {at}::date, account_sid, direction, count(*), sum(price) "
            "from messages group by all",
            "hourly_delivery_rate": f"select date_trunc('hour', {at}), account_sid, "
            "avg((status in ('delivered', 'read'))::int) from messages "
            "where direction like 'outbound%' group by all",
            "monthly_cost": f"select date_trunc('month', {at}), account_sid, -sum(price) "
            "from messages group by all",
            "top_recipients": f"select date_trunc('month', {at}), account_sid, recipient, count(*) "
            "from messages where direction like 'outbound%' group by all "
            "order by 4 desc limit 100",
        }.items():
            connection.execute(f"create table {name} as {sql}")
    print(json.dumps({"records": len(frame), "steps": steps.told()}))


def frame_of(messages: list[MessageInstance]) -> pd.DataFrame:
    """The messages' columns."""
    return pd.DataFrame(
        [
            {
                "sid": m.sid,
                "account_sid": m.account_sid,
                "direction": m.direction,
                "status": m.status,
                "error_code": m.error_code,
                "sender": m.from_,
                "recipient": m.to,
                "created_at": m.date_created,
                "sent_at": m.date_sent,
                "price": None if m.price is None else float(m.price),
                "segments": int(m.num_segments or 0),
            }
            for m in messages
        ]
    )


if __name__ == "__main__":
    main()
