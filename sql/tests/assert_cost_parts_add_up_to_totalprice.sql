with

parts as (

    select
        month,
        account_sid,
        sum(cost) as cost
    from {{ ref('monthly_cost_parts') }}
    group by all

)

select
    cost_reconciliation.month,
    cost_reconciliation.account_sid,
    cost_reconciliation.totalprice_cost,
    parts.cost

from {{ ref('cost_reconciliation') }} as cost_reconciliation
left join parts
    on
        cost_reconciliation.month = parts.month
        and cost_reconciliation.account_sid = parts.account_sid
where
    cost_reconciliation.totalprice_cost is not null
    and parts.cost is distinct from cost_reconciliation.totalprice_cost
