select
    message_hour,
    utc_offset,
    account_sid,
    channel,
    count(*) as row_count

from {{ ref('hourly_delivery_rate') }}
group by
    message_hour,
    utc_offset,
    account_sid,
    channel
having count(*) > 1
