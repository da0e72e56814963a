"""`python -m simulator`: serve until a signal comes or, if told, standard input closes."""

from __future__ import annotations

import argparse
import gc
import json
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import uvicorn

from simulator.faults import Faults, Rule, rules_from
from simulator.server import Simulator
from simulator.world import World, WorldConfig, default_until


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON line (url, credentials, clock), then serve on 127.0.0.1."""
    parser = argparse.ArgumentParser(
        prog="twilio-warehouse simulate", description="A simulated Twilio on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=35)
    parser.add_argument("--accounts", type=int, default=3, help="main and sub-accounts together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--until", type=datetime.fromisoformat, help="the world's present, ISO")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer")
    parser.add_argument(
        "--concurrency", type=int, help="requests an account may have in flight; more get a 429"
    )
    parser.add_argument(
        "--faults", type=_faults, default=[], help='what goes wrong: [{"kind": "reset"}, …]'
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the program that started it"
    )
    options = parser.parse_args(arguments)
    until = options.until or default_until()
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until.astimezone(UTC)
    gc.disable()  # millions of objects that stay: looking through them takes seconds each time
    world = World(
        WorldConfig(options.messages, options.days, options.accounts, options.seed, until)
    )
    simulator = Simulator(
        world,
        latency=options.latency_ms / 1000,
        concurrency=options.concurrency,
        faults=Faults(options.faults, options.seed),
    )
    gc.freeze()
    gc.enable()
    server = uvicorn.Server(
        uvicorn.Config(
            simulator.app(),
            http=simulator.connections.protocol(),
            log_level="warning",
            access_log=False,
            lifespan="off",
        )
    )
    simulator.is_ending = lambda: server.should_exit

    def end(signal_number: int = 0, frame: object = None) -> None:
        server.should_exit = True

    # Before the line is printed: who reads it may end us at once. uvicorn, when it has ended for
    # a signal, sends it again to these.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=512)
    key, secret = world.api_key
    print(
        json.dumps(
            {
                "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
                "account_sid": world.main.sid,
                "auth_token": world.main.auth_token,
                "api_key": key,
                "api_secret": secret,
                "now": until.isoformat(),
            }
        ),
        flush=True,
    )
    if options.until_stdin_closes:

        def end_with_stdin() -> None:
            sys.stdin.buffer.read()
            end()

        threading.Thread(target=end_with_stdin, daemon=True).start()
    server.run(sockets=[listener])


def _faults(text: str) -> list[Rule]:
    try:
        return rules_from(json.loads(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    main()
