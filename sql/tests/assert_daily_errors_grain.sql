select
    message_date,
    account_sid,
    channel,
    error_code,
    count(*) as row_count

from {{ ref('daily_errors') }}
group by
    message_date,
    account_sid,
    channel,
    error_code
having count(*) > 1
