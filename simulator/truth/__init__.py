"""What the pipeline must find, in plain Python, from the simulator's own records.

Written from the agreed definitions alone, never from the SQL it proves. Scope: what was read. By
default everything since `read_since` (a UTC midnight) was read once, at `now`: messages whose time
(date_sent, else date_created) lies between the two, usage from the first day of the month of
`read_since`. With `reads` it is those windows at their instants, and each figure is as it was
shown when it was last read.
"""

from simulator.truth.lake import expected_messages
from simulator.truth.reports import expected_reports

__all__ = ["expected_messages", "expected_reports"]
