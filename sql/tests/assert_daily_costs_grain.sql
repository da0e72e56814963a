select
    usage_date,
    account_sid,
    cost_category,
    count(*) as row_count

from {{ ref('daily_costs') }}
group by
    usage_date,
    account_sid,
    cost_category
having count(*) > 1
