"""COMPOSE: flows, the command, and the tasks that touch the world."""
