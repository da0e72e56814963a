"""A local Twilio: the REST API over real HTTP, deterministic from a seed, with its own truth.

It shares no code with the pipeline, so that it can prove it. What nobody outside Twilio knows is
decided here, and only here: a DateSent filter hides messages without date_sent; times of day in
the filter are honoured; a failed message is not billed but for its processing fee; usage counts a
message on the GMT day of its date_sent; lists that lag lack new messages and show all others as
they are; a suspended account answers 403, a closed one 401, for all but its own record.
"""
