-- of the days that are computed anew; the others were checked when they were
select
    message_sid,
    count(*) as row_count

from {{ ref('int_messages_touched') }}
group by message_sid
having count(*) > 1
