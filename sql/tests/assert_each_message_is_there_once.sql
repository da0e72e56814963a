-- Of the days that are computed anew and what is read for them; the others were checked when they
-- were. Hashes of identifiers are compared first, and identifiers only where two of those are
-- equal: all those of a long history would not fit into memory.
with

messages as not materialized (

    select
        message_sid,
        hash(message_sid) as sid_number
    from {{ source('lake', 'touched_messages') }}

),

numbers_met_again as (

    select sid_number
    from messages
    group by sid_number
    having count(*) > 1

)

select
    message_sid,
    count(*) as row_count

from messages
where sid_number in (select sid_number from numbers_met_again)
group by message_sid
having count(*) > 1
