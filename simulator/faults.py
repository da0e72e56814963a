"""What goes wrong, on demand or by chance: rules that are asked before a request is answered.

A rule's chance depends on the seed, the request and how often it was made, not on the order in
which requests come in; so the same reader meets the same faults, however many requests it has in
flight.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

# Answers in place of Twilio's: status, error code, text.
REFUSALS = {
    "too_many_requests": (429, 20429, "Too Many Requests"),
    "server_error": (500, 20500, "An internal server error has occurred"),
    "unavailable": (503, 20503, "Service unavailable"),
    "unauthorized": (401, 20003, "Authenticate"),
    "denied": (403, 20403, "Forbidden"),
    "not_found": (404, 20404, "The requested resource was not found"),
}
# What spoils an answer, or a page of one.
SPOILS = {
    "html_error": "an HTML page instead of JSON, with status 502",
    "truncated": "the first half of the JSON, as if it were all",
    "empty": "status 200 and nothing",
    "reset": "the connection is reset in the middle of the body",
    "drip": "the body comes byte by byte, one each `seconds` (1), to no end",
    "hang": "no answer at all, until the reader or the server ends",
    "duplicates": "a page after the first repeats the last `rows` (10) rows of the page before",
    "shift": "messages of the last `seconds` (300) come in while the list is read: its first page "
    "lacks them, and later pages repeat as many rows",
}
KINDS = (*REFUSALS, *SPOILS)
_OF_PAGES = ("duplicates", "shift")
_SECONDS = {"drip": 1.0, "shift": 300.0}


@dataclass
class Rule:
    """One way in which requests go wrong.

    Attributes:
        kind: what happens, one of the kinds of faults.
        path: a regular expression found in the path below the API's version; empty: any.
        account: the SID in the path; empty: any.
        probability: of a request to go wrong, 0–1.
        times: how many requests may still go wrong; null: any number.
        retry_after: seconds, sent as Retry-After with a refusal; null: no such header.
        status: another HTTP status for a refusal, as 401 for `denied` (its code becomes 20003).
        seconds: between two bytes of `drip`, or how far back `shift` reaches; 0: as usual.
        rows: how many `duplicates` repeats.

    Raises:
        ValueError: no such kind, or a probability that is none.
    """

    kind: str
    path: str = ""
    account: str = ""
    probability: float = 1.0
    times: int | None = None
    retry_after: float | None = None
    status: int | None = None
    seconds: float = 0.0
    rows: int = 10

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no fault; there are {', '.join(KINDS)}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"a probability of {self.probability} is none")
        self.seconds = self.seconds or _SECONDS.get(self.kind, 0.0)
        re.compile(self.path)

    @property
    def is_harmless(self) -> bool:
        """Whether the answer is still one, if not the one it should be."""
        return self.kind in _OF_PAGES

    def concerns(self, path: str, query: str, account_sid: str) -> bool:
        """Whether it may happen to such a request."""
        if self.kind in _OF_PAGES and not path.endswith("/Messages.json"):
            return False
        if self.kind == "duplicates" and "PageToken=" not in query:
            return False
        return self.account in ("", account_sid) and re.search(self.path, path) is not None

    @property
    def refusal(self) -> tuple[int, int, str]:
        """Status, error code and text of the answer."""
        status, code, text = REFUSALS[self.kind]
        if self.status in (None, status):
            return status, code, text
        return (401, *REFUSALS["unauthorized"][1:]) if self.status == 401 else (
            int(self.status or status), code, text,
        )  # fmt: skip


class Faults:
    """The rules in force, in order, and how often each kind has happened."""

    def __init__(self, rules: Iterable[Rule] = (), seed: int = 0) -> None:
        self.happened: Counter[str] = Counter()
        self._seed = seed
        self.set(rules)

    def set(self, rules: Iterable[Rule]) -> None:
        """Put these rules in place of those in force; the counts go on."""
        self.rules = list(rules)
        self._asked: Counter[str] = Counter()

    def next_for(self, path: str, query: str, account_sid: str) -> Rule | None:
        """The first rule that happens to a request, counted; None when all goes well."""
        if not self.rules:
            return None
        request = f"{path}?{query}"
        self._asked[request] += 1
        for number, rule in enumerate(self.rules):
            if rule.times == 0 or not rule.concerns(path, query, account_sid):
                continue
            if self._chance(number, request) < rule.probability:
                if rule.times is not None:
                    rule.times -= 1
                self.happened[rule.kind] += 1
                return rule
        return None

    def _chance(self, number: int, request: str) -> float:
        text = f"{self._seed}/{number}/{request}/{self._asked[request]}"
        digest = hashlib.blake2b(text.encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48


def rules_from(values: Any) -> list[Rule]:
    """Rules from decoded JSON: a list of objects whose names are `Rule`'s.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError("faults are a JSON list of objects")
    known = {field.name for field in fields(Rule)}
    for value in values:
        if "kind" not in value or value.keys() - known:
            raise ValueError(f"a fault has a kind and of {', '.join(sorted(known))}: {value}")
    try:
        return [Rule(**value) for value in values]
    except (TypeError, re.error) as error:
        raise ValueError(str(error)) from error


def as_json(rules: Iterable[Rule | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rules as JSON values."""
    return [asdict(rule) if isinstance(rule, Rule) else dict(rule) for rule in rules]
