"""`python -m simulator`: serve until a signal comes or, if told, standard input closes."""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import signal
import socket
import sys
import textwrap
import threading
from collections.abc import Sequence

import uvicorn

from simulator.faults import REFUSALS, SPOILS, Faults, Rule, rules_from
from simulator.server import Simulator
from simulator.world import World, WorldConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON line (url, credentials, clock), then serve on 127.0.0.1."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        config = _config(options)
    except ValueError as error:
        parser.error(str(error))
    gc.disable()  # millions of objects that stay: looking through them takes seconds each time
    world = World(config)
    simulator = Simulator(
        world,
        latency=options.latency_ms / 1000,
        concurrency=options.concurrency,
        faults=Faults(options.faults, config.seed),
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
    # Its connections get this from it. Without it a short answer's body waits for its headers to be
    # acknowledged, 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key, secret = world.api_key
    print(
        json.dumps(
            {
                "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
                "account_sid": world.main.sid,
                "auth_token": world.main.auth_token,
                "api_key": key,
                "api_secret": secret,
                "now": config.until.isoformat(),
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="twilio-warehouse simulate",
        description="A simulated Twilio on 127.0.0.1. It prints one line of JSON, its address and "
        "credentials, and serves until it is told to end.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--messages", type=int, help="up to --until (default: 20000)")
    parser.add_argument("--days", type=int, help="days they spread over (default: 35)")
    parser.add_argument("--accounts", type=int, help="main and sub-accounts together (default: 3)")
    parser.add_argument("--seed", type=int, help="another seed, another world (default: 1)")
    parser.add_argument(
        "--until", help="the world's present, ISO (default: 06:00 UTC of today); its clock can "
        "be set from the first day to a day later",
    )  # fmt: skip
    parser.add_argument(
        "--lively", action="store_true", help="everything below happens, and there are 5 accounts"
    )
    parser.add_argument(
        "--world", type=json.loads, default={}, metavar="JSON",
        help='what happens in it, as {"deletions": 0.01}; names and meanings below',
    )  # fmt: skip
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer")
    parser.add_argument(
        "--concurrency", type=int, help="requests an account may have in flight; more get a 429"
    )
    parser.add_argument(
        "--faults", type=_faults, default=[], metavar="JSON",
        help='what goes wrong, as [{"kind": "reset", "probability": 0.01}]; kinds below',
    )  # fmt: skip
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the program that started it"
    )
    return parser


def _epilog() -> str:
    """What --world and --faults may say, and what can be asked while it runs."""
    kinds = {
        kind: f"{status}, code {code}" for kind, (status, code, _) in REFUSALS.items()
    } | SPOILS  # fmt: skip
    parts = [
        "--world: " + _attributes(WorldConfig),
        "--faults: " + _attributes(Rule),
        "kinds of faults:\n" + "\n".join(f"  {kind}: {what}" for kind, what in kinds.items()),
        """while it runs:
  PUT /simulator/clock {"now": ISO}      show the world as of another instant
  PUT /simulator/faults [{"kind": …}]    what goes wrong from now on; []: nothing
  GET /simulator/requests                how often what was asked for, answered, and went wrong""",
    ]
    return "\n\n".join(parts)


def _attributes(documented: type) -> str:
    """What a class says of its attributes."""
    text = inspect.cleandoc(documented.__doc__ or "")
    about, _, attributes = text.partition("\n\nAttributes:\n")
    attributes = textwrap.dedent(attributes.partition("\n\nRaises:")[0])
    return f"{about}\n{textwrap.indent(attributes, '  ')}"


def _config(options: argparse.Namespace) -> WorldConfig:
    given = {
        name: getattr(options, name)
        for name in ("messages", "days", "accounts", "seed", "until")
        if getattr(options, name) is not None
    }
    usual = WorldConfig.lively() if options.lively else WorldConfig()
    if not isinstance(options.world, dict):
        raise ValueError("--world is a JSON object")
    return usual.with_json({**given, **options.world})


def _faults(text: str) -> list[Rule]:
    try:
        return rules_from(json.loads(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    main()
