select
    month,
    account_sid,
    cost_part,
    cost_category,
    count(*) as row_count

from {{ ref('monthly_cost_parts') }}
group by
    month,
    account_sid,
    cost_part,
    cost_category
having count(*) > 1
