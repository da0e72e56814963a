"""Every report, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from simulator.observed import Read, known_messages, reads_of_all
from simulator.truth.billed import billed_accounts
from simulator.truth.completeness import completeness
from simulator.truth.costs import cost_reconciliation, monthly_cost
from simulator.truth.errors import errors_by_code
from simulator.truth.kpis import kpis
from simulator.truth.ledger import Ledger
from simulator.truth.recipients import top_recipients
from simulator.truth.seeds import SEEDS, ErrorTexts, read_goals
from simulator.truth.seen import seen
from simulator.truth.values import Row
from simulator.truth.volume import daily_volume, hourly_delivery_rate
from simulator.world import World


def expected_reports(
    world: World,
    now: datetime,
    timezone: str,
    read_since: datetime,
    *,
    with_unsent: bool = True,
    reads: Sequence[Read] | None = None,
    monthly_budget: Decimal | None = None,
    language: str = "en",
    seeds: Path = SEEDS,
) -> dict[str, list[Row]]:
    """Rows of every report, by its name.

    Args:
        now: when everything since `read_since` was read; of no meaning with `reads`.
        reads: what was asked for instead, as a ledger has it: also what was refused, and accounts.
        monthly_budget: what a month may cost, in the account's currency.
        language: of texts, `en` or `es`.
        seeds: the folder of goals and texts of error codes.
    """
    zone = ZoneInfo(timezone)
    if reads is None:
        reads = reads_of_all(world, [now], read_since, with_unsent=with_unsent)
    messages = [seen(world, known, zone) for known in known_messages(world, reads)]
    accounts = billed_accounts(world, reads)
    ledger = Ledger(world, reads, now)
    texts = ErrorTexts(seeds, language)
    return {
        "daily_volume": daily_volume(messages, zone, ledger),
        "hourly_delivery_rate": hourly_delivery_rate(messages, ledger),
        "monthly_cost": monthly_cost(accounts),
        "top_recipients": top_recipients(messages),
        "errors_by_code": errors_by_code(messages, texts),
        "kpis": kpis(messages, accounts, ledger, zone, texts, read_goals(seeds), monthly_budget),
        "cost_reconciliation": cost_reconciliation(messages, accounts),
        "completeness": completeness(messages, accounts, ledger),
    }
