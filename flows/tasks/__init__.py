"""TOUCH: one module a verb. I/O and no decisions; no task knows another."""
