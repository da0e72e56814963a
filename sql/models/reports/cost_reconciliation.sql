with

usage_categories as (

    select * from {{ ref('usage_categories') }}

),

used as (

    select
        monthly_cost.month,
        monthly_cost.account_sid,
        max(monthly_cost.currency) as currency,
        sum(monthly_cost.cost) as cost,
        sum(monthly_cost.cost) filter (where monthly_cost.cost_category = 'other') as other_cost,
        coalesce(
            sum(monthly_cost.cost) filter (where monthly_cost.cost_category <> 'other'), 0
        ) as categories_cost,
        coalesce(
            sum(monthly_cost.cost) filter (where usage_categories.is_message_usage), 0
        ) as message_usage_cost
    from {{ ref('monthly_cost') }} as monthly_cost
    left join usage_categories
        on monthly_cost.cost_category = usage_categories.category
    group by all

),

priced as (

    select
        date_trunc('month', utc_date)::date as month,
        account_sid,
        max(currency) as currency,
        sum(message_cost) as message_price_cost,
        sum(message_count) as message_count,
        sum(unpriced_count) as unpriced_count
    from {{ ref('hourly_messages') }}
    group by all

),

reconciled as (

    select
        coalesce(used.month, priced.month) as month,
        coalesce(used.account_sid, priced.account_sid) as account_sid,
        coalesce(used.currency, priced.currency) as currency,
        case when used.other_cost is not null then used.cost end as totalprice_cost,
        used.categories_cost,
        used.other_cost,
        used.message_usage_cost,
        priced.message_price_cost,
        coalesce(priced.unpriced_count, 0) as unpriced_count,
        coalesce(priced.message_count, 0) as message_count
    from used
    full join priced
        on
            used.month = priced.month
            and used.account_sid = priced.account_sid

)

select
    month,
    account_sid,
    currency,
    totalprice_cost::decimal(18, 6) as totalprice_cost,
    categories_cost::decimal(18, 6) as categories_cost,
    other_cost::decimal(18, 6) as other_cost,
    message_usage_cost::decimal(18, 6) as message_usage_cost,
    message_price_cost::decimal(18, 6) as message_price_cost,
    (message_usage_cost - message_price_cost)::decimal(18, 6) as difference,
    unpriced_count::bigint as unpriced_count,
    message_count::bigint as message_count,
    message_usage_cost / nullif(message_count, 0) as cost_per_message

from reconciled
