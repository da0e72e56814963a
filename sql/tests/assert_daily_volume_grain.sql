select
    message_date,
    account_sid,
    channel,
    direction,
    count(*) as row_count

from {{ ref('daily_volume') }}
group by
    message_date,
    account_sid,
    channel,
    direction
having count(*) > 1
