with

costs as (

    select
        month,
        account_sid,
        sum(cost) as cost
    from {{ ref('monthly_cost') }}
    group by all

),

totals as (

    select
        date_trunc('month', usage_date)::date as month,
        account_sid,
        sum(cost) as cost
    from {{ source('lake', 'usage_records') }}
    where category = 'totalprice'
    group by all

)

select
    totals.month,
    totals.account_sid,
    totals.cost as totalprice,
    costs.cost

from totals
left join costs
    on
        totals.month = costs.month
        and totals.account_sid = costs.account_sid
where costs.cost is distinct from totals.cost
