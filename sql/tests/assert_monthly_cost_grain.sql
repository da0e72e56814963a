select
    month,
    account_sid,
    cost_category,
    count(*) as row_count

from {{ ref('monthly_cost') }}
group by
    month,
    account_sid,
    cost_category
having count(*) > 1
