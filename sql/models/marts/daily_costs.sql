with

usage_records as (

    select * from {{ source('lake', 'usage_records') }}

),

usage_categories as (

    select * from {{ ref('usage_categories') }}

),

costs_of_cover as (

    select
        usage_records.usage_date,
        usage_records.account_sid,
        usage_records.category as cost_category,
        usage_records.currency,
        usage_records.event_count,
        usage_records.usage_quantity,
        usage_records.usage_unit,
        usage_records.cost
    from usage_records
    inner join usage_categories
        on usage_records.category = usage_categories.category
    where usage_categories.is_in_cover

),

totals as (

    select
        usage_date,
        account_sid,
        currency,
        cost
    from usage_records
    where category = 'totalprice'

),

covers as (

    select
        usage_date,
        account_sid,
        max(currency) as currency,
        sum(cost) as cost
    from costs_of_cover
    group by all

),

days as (

    select
        coalesce(totals.usage_date, covers.usage_date) as usage_date,
        coalesce(totals.account_sid, covers.account_sid) as account_sid,
        coalesce(totals.currency, covers.currency) as currency,
        totals.cost as total_cost,
        coalesce(totals.cost, 0) - coalesce(covers.cost, 0) as other_cost
    from totals
    full join covers
        on
            totals.usage_date = covers.usage_date
            and totals.account_sid = covers.account_sid

),

-- A day without a total takes part too, or its month would not add up; a month without one cannot.
others as (

    select
        usage_date,
        account_sid,
        'other' as cost_category,
        currency,
        null as event_count,
        null as usage_quantity,
        null as usage_unit,
        other_cost as cost
    from days
    qualify
        count(total_cost) over (
            partition by account_sid, date_trunc('month', usage_date)
        ) > 0

),

costs as (

    select * from costs_of_cover
    union all
    select * from others

)

select
    usage_date,
    account_sid,
    cost_category,
    currency,
    event_count::decimal(24, 6) as event_count,
    usage_quantity::decimal(24, 6) as usage_quantity,
    usage_unit,
    cost::decimal(18, 6) as cost

from costs
