"""The accounts of a world: when each appears, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from simulator.config import DAY, WorldConfig, identifier

# Twilio removes a closed sub-account after that (twilio.com/docs/iam/api/subaccounts).
CLOSED_STAY = 30 * DAY


@dataclass(frozen=True)
class Account:
    """An account and its secrets; `owner_sid` is its own SID for the main account.

    `ended` is when it became what `ending` says, `suspended` or `closed`; None: never. Instants
    are epoch seconds.
    """

    sid: str
    name: str
    auth_token: str
    owner_sid: str
    created: int
    ended: int | None = None
    ending: str = "active"

    def status_at(self, now: int) -> str:
        """Its status in Twilio's words."""
        return self.ending if self.ended is not None and self.ended <= now else "active"

    def exists(self, now: int) -> bool:
        """Whether Twilio knows it."""
        is_removed = self.status_at(now) == "closed" and now >= (self.ended or 0) + CLOSED_STAY
        return self.created <= now and not is_removed

    def is_active(self, now: int) -> bool:
        """Whether its data can be read."""
        return self.exists(now) and self.status_at(now) == "active"


def found_accounts(config: WorldConfig) -> list[Account]:
    """The main account, then its sub-accounts."""
    created = int(config.start.timestamp()) - 400 * DAY
    sids = ["AC" + identifier(config.seed, f"account {i}") for i in range(config.accounts)]
    accounts = [
        Account(
            sid=sid,
            name="Tienda Ejemplo" if i == 0 else f"Sucursal {i}",
            auth_token=identifier(config.seed, f"token {i}"),
            owner_sid=sids[0],
            created=created + i * DAY,
        )
        for i, sid in enumerate(sids)
    ]
    return _with_roles(config, accounts)


def _with_roles(config: WorldConfig, accounts: list[Account]) -> list[Account]:
    """Some of the last sub-accounts appear late, are suspended or closed."""
    start, span = int(config.start.timestamp()), config.days * DAY
    middle = start + span // 2 + 11 * 3600 + 17 * 60  # in the middle of a working day
    last_third = start + span * 2 // 3 + 14 * 3600 + 41 * 60
    left = list(accounts)
    changed = []
    if config.new_account:
        changed.append(replace(left.pop(), created=middle))
    if config.suspended_account:
        changed.append(replace(left.pop(), ended=last_third, ending="suspended"))
    if config.closed_account:
        changed.append(replace(left.pop(), ended=middle, ending="closed"))
    return left + changed[::-1]
