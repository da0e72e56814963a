select
    usage_date,
    account_sid,
    channel_group,
    count(*) as row_count

from {{ ref('daily_completeness') }}
group by
    usage_date,
    account_sid,
    channel_group
having count(*) > 1
