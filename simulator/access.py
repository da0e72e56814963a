"""Who asks, and what may be asked for with these credentials."""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request

from simulator.answers import RefusedError, missing
from simulator.view import View
from simulator.wire import API
from simulator.world import Account, World

# What an account answers that is no longer active: undocumented, of the codes that were met.
_OF_INACTIVE = {
    "suspended": (403, 20403, "Account is suspended"),
    "closed": (401, 10001, "Account is not active"),
}


def account_asked_for(view: View, name: str, request: Request) -> Account:
    """The account a request is about, if whoever asks may.

    Args:
        name: of the endpoint.

    Raises:
        RefusedError: they may not, or there is no such account.
    """
    caller, uses_key = _authenticate(view.world, request)
    asked = _reachable(view, request.path_params.get("sid", caller.sid), caller, uses_key)
    if uses_key and name == "accounts":
        # A Standard key may not use /Accounts (twilio.com/docs/iam/api-keys).
        raise RefusedError(401, 20003, "Authenticate")
    status = asked.status_at(view.now)
    if name not in ("accounts", "account") and status != "active":
        raise RefusedError(*_OF_INACTIVE[status])
    return asked


def _authenticate(world: World, request: Request) -> tuple[Account, bool]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = password = ""
    if scheme.lower() == "basic":
        if (user, password) == world.api_key:
            return world.main, True
        for account in world.accounts:
            if (user, password) == (account.sid, account.auth_token):
                return account, False
    raise RefusedError(401, 20003, "Authenticate")


def _reachable(view: View, sid: str, caller: Account, uses_key: bool) -> Account:
    for account in view.world.accounts:
        if (
            account.sid == sid
            and (account is caller or (caller is view.world.main and not uses_key))
            and account.exists(view.now)
        ):
            return account
    raise missing(f"{API}/Accounts/{sid}")
