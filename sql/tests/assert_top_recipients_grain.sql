select
    month,
    account_sid,
    recipient_rank,
    count(*) as row_count

from {{ ref('top_recipients') }}
group by
    month,
    account_sid,
    recipient_rank
having count(*) > 1
