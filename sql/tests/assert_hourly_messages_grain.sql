select
    message_hour,
    utc_offset,
    utc_date,
    account_sid,
    channel,
    direction,
    count(*) as row_count

from {{ ref('hourly_messages') }}
group by
    message_hour,
    utc_offset,
    utc_date,
    account_sid,
    channel,
    direction
having count(*) > 1
