"""A warehouse lived through day by day: the lake as the flows fill it, the models as dbt compiles
them, run without dbt, which takes longer to start than a small world takes to compute."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import uvicorn

from flows.settings import Settings, read_settings
from flows.tasks.load import load
from simulator.faults import Faults
from simulator.incidents import Incident, plant
from simulator.process import Server
from simulator.server import Simulator
from simulator.world import World, WorldConfig
from tests.flows.conftest import Warehouse, lake_only
from tests.sql.conftest import Dbt


@contextmanager
def showing(config: WorldConfig, incidents: Iterable[Incident] = ()) -> Iterator[Server]:
    """A simulator in this process, of a world with incidents."""
    world = World(config)
    plant(world, incidents)
    simulator = Simulator(world, faults=Faults([], config.seed))
    server = uvicorn.Server(
        uvicorn.Config(
            simulator.app(), http=simulator.connections.protocol(), log_level="warning",
            access_log=False, lifespan="off",
        )
    )  # fmt: skip
    simulator.is_ending = lambda: server.should_exit
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    key, secret = world.api_key
    try:
        yield Server(
            url=f"http://127.0.0.1:{listener.getsockname()[1]}",
            account_sid=world.main.sid,
            auth_token=world.main.auth_token,
            api_key=key,
            api_secret=secret,
            now=config.until.isoformat(),
            pid=os.getpid(),
        )
    finally:
        server.should_exit = True
        thread.join(20)


@dataclass(frozen=True)
class Model:
    """A model as dbt compiles it for an empty build file."""

    schema: str
    name: str
    is_view: bool
    sql: str


@dataclass(frozen=True)
class Compiled:
    """Models in an order to build them, for these variables, and a file that has the seeds."""

    seeds: Path
    models: list[Model]
    variables: dict[str, Any]


def compiled(dbt: Dbt, folder: Path, target: str) -> Compiled:
    """A model, and all that lead to it."""
    # The name of the file is the name of the database in compiled models.
    build_file = folder / "warehouse.duckdb"
    with duckdb.connect(str(build_file)) as connection:
        connection.execute("create schema lake")
    dbt.invoke(build_file, "seed")
    nodes = {
        result.node.unique_id: result.node
        for result in dbt.invoke(build_file, "compile", "--select", f"+{target}")
    }
    models: list[Model] = []
    done: set[str] = set()

    def add(key: str) -> None:
        if key in done or key not in nodes or nodes[key].resource_type != "model":
            return
        done.add(key)
        node = nodes[key]
        for parent in node.depends_on.nodes:
            add(parent)
        if node.config.materialized == "ephemeral":
            return  # compiled into those that name it
        models.append(
            Model(node.schema, node.name, node.config.materialized == "view", node.compiled_code)
        )

    add(f"model.twilio_warehouse.{target}")
    return Compiled(build_file, models, dict(dbt.variables))


class Life:
    """A data root that daily runs fill up to the models of alerts."""

    def __init__(
        self, root: Path, server: Server, models: Compiled, settings: dict[str, str]
    ) -> None:
        given = {f"WAREHOUSE_{name.upper()}": str(v) for name, v in models.variables.items()}
        self.warehouse = Warehouse(root, server, {**given, **settings})
        with self.warehouse.active():
            self.settings: Settings = read_settings()
        self._compiled = models

    def live(self, now: datetime) -> None:
        """One daily run; the published file is what it built.

        Nothing is ever noted as built, so that incremental models take all messages as new.
        """
        self.warehouse.server.set_clock(now)
        with self.warehouse.active():
            lake_only(now, deep=False)
            load(self.settings)
        with duckdb.connect(str(self.settings.build_file)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach '{self._compiled.seeds}' as seeds (read_only)")
            connection.execute("create schema if not exists marts")
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() "
                "where database_name = 'seeds' and schema_name = 'marts'"
            ).fetchall():
                connection.execute(
                    f"create or replace table marts.{name} as from seeds.marts.{name}"
                )
            connection.execute("detach seeds")
            for model in self._compiled.models:
                kind = "view" if model.is_view else "table"
                connection.execute(f"create schema if not exists {model.schema}")
                connection.execute(
                    f"create or replace {kind} {model.schema}.{model.name} as {model.sql}"
                )
            connection.execute("checkpoint")
        self.settings.warehouse.write_bytes(self.settings.build_file.read_bytes())

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the published file."""
        with duckdb.connect(str(self.settings.warehouse), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()
