"""What the lake must know of each message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from simulator import people
from simulator.observed import Known, Read, known_messages, reads_of_all
from simulator.truth.seen import asks_to_stop
from simulator.truth.values import Row, instant_of, money
from simulator.world import World


def expected_messages(
    world: World,
    now: datetime,
    read_since: datetime,
    *,
    with_unsent: bool = True,
    reads: Sequence[Read] | None = None,
) -> dict[str, Row]:
    """What the lake must know of each message, by SID; arguments as of `expected_reports`."""
    if reads is None:
        reads = reads_of_all(world, [now], read_since, with_unsent=with_unsent)
    return {known.message.sid: _row(world, known) for known in known_messages(world, reads)}


def _row(world: World, known: Known) -> Row:
    message, state = known.message, known.state
    encoding = None
    if state.body:
        encoding = "gsm7" if people.is_gsm7(state.body) else "ucs2"
    return {
        "account_sid": world.accounts[message.account].sid,
        "messaging_service_sid": message.service_sid,
        "direction": message.direction,
        "status": state.status,
        "error_code": state.error_code,
        "sender": state.sender,
        "recipient": message.recipient,
        "country": message.country,
        "created_at": instant_of(message.created),
        "sent_at": None if state.sent is None else instant_of(state.sent),
        "updated_at": instant_of(state.updated),
        "price": None if state.price is None else money(state.price),
        "currency": state.currency,
        "segment_count": state.segment_count,
        "media_count": message.media_count,
        "body_length": len(state.body),
        "body_encoding": encoding,
        # What was asked for counts, even when its text is gone.
        "is_opt_out_request": asks_to_stop(known),
    }
