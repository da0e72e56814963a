select
    month,
    account_sid,
    count(*) as row_count

from {{ ref('cost_reconciliation') }}
group by
    month,
    account_sid
having count(*) > 1
