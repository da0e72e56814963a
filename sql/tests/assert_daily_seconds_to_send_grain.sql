select
    message_date,
    account_sid,
    seconds_to_send,
    count(*) as row_count

from {{ ref('daily_seconds_to_send') }}
group by
    message_date,
    account_sid,
    seconds_to_send
having count(*) > 1
