"""Messages of a period added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from simulator.truth.seen import Seen


@dataclass(slots=True)
class Tally:
    """What KPIs need of some messages; money in millionths, times in seconds."""

    messages: int = 0
    segments: int = 0
    tried: int = 0
    arrived: int = 0
    failed: int = 0
    blocked: int = 0
    opt_outs: int = 0
    cost_of_failed: int = 0
    unsettled: int = 0
    seconds_to_send: list[int] = field(default_factory=list)

    def add(self, entry: Seen, *, is_blocked: bool) -> None:
        """One more message."""
        self.messages += 1
        self.segments += entry.state.segment_count or 0
        self.tried += entry.is_tried
        self.arrived += entry.has_arrived
        self.failed += entry.has_failed
        self.blocked += is_blocked
        self.opt_outs += entry.asks_to_stop
        self.unsettled += not entry.is_settled
        if entry.has_failed:
            self.cost_of_failed -= entry.state.price or 0
        sent = entry.state.sent
        # Scheduled ones wait on purpose.
        if entry.is_tried and sent is not None and not entry.was_scheduled:
            self.seconds_to_send.append(sent - entry.message.created)


def merged(tallies: Iterable[Tally]) -> Tally:
    """Several as one."""
    whole = Tally()
    for one in tallies:
        whole.messages += one.messages
        whole.segments += one.segments
        whole.tried += one.tried
        whole.arrived += one.arrived
        whole.failed += one.failed
        whole.blocked += one.blocked
        whole.opt_outs += one.opt_outs
        whole.cost_of_failed += one.cost_of_failed
        whole.unsettled += one.unsettled
        whole.seconds_to_send += one.seconds_to_send
    return whole


def quantile(values: Iterable[int], share: Fraction) -> float | None:
    """The value that a share of all stays within, between two where it falls between them."""
    ordered = sorted(values)
    if not ordered:
        return None
    below, distance = divmod(share * (len(ordered) - 1), 1)
    above = ordered[min(below + 1, len(ordered) - 1)]
    return ordered[below] + float(distance) * (above - ordered[below])
