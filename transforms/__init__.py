"""SHAPE: pure functions, values in, frames out. No disk, network, clock or Prefect in here."""
