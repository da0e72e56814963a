with

monthly_cost as (

    select * from {{ ref('monthly_cost') }}

),

usage_categories as (

    select * from {{ ref('usage_categories') }}

),

months_with_usage as (

    select
        month,
        account_sid,
        max(currency) as currency
    from monthly_cost
    group by all

),

prices as (

    select
        date_trunc('month', utc_date)::date as month,
        account_sid,
        case when channel in ('sms', 'mms', 'rcs') then channel else 'channels' end
            as channel_group,
        max(currency) as currency,
        sum(message_cost) as cost,
        sum(message_count) as message_count,
        sum(unpriced_count) as unpriced_count
    from {{ ref('hourly_messages') }}
    group by all

),

priced_categories as (

    select
        prices.month,
        prices.account_sid,
        usage_categories.category as cost_category,
        prices.currency,
        prices.cost,
        prices.message_count,
        prices.unpriced_count
    from prices
    inner join usage_categories
        on prices.channel_group = usage_categories.channel_group

),

message_usage as (

    select
        monthly_cost.month,
        monthly_cost.account_sid,
        monthly_cost.cost_category,
        monthly_cost.cost
    from monthly_cost
    inner join usage_categories
        on monthly_cost.cost_category = usage_categories.category
    where usage_categories.is_message_usage

),

message_categories as (

    select
        month,
        account_sid,
        cost_category
    from priced_categories
    union
    select
        month,
        account_sid,
        cost_category
    from message_usage

),

message_differences as (

    select
        message_categories.month,
        message_categories.account_sid,
        'usage_beyond_prices' as cost_part,
        message_categories.cost_category,
        months_with_usage.currency,
        coalesce(message_usage.cost, 0) - coalesce(priced_categories.cost, 0) as cost
    from message_categories
    inner join months_with_usage
        on
            message_categories.month = months_with_usage.month
            and message_categories.account_sid = months_with_usage.account_sid
    left join message_usage
        on
            message_categories.month = message_usage.month
            and message_categories.account_sid = message_usage.account_sid
            and message_categories.cost_category = message_usage.cost_category
    left join priced_categories
        on
            message_categories.month = priced_categories.month
            and message_categories.account_sid = priced_categories.account_sid
            and message_categories.cost_category = priced_categories.cost_category

),

other_parts as (

    select
        monthly_cost.month,
        monthly_cost.account_sid,
        case when monthly_cost.cost_category = 'other' then 'other' else 'beside_messages' end
            as cost_part,
        monthly_cost.cost_category,
        monthly_cost.currency,
        monthly_cost.cost
    from monthly_cost
    left join usage_categories
        on monthly_cost.cost_category = usage_categories.category
    where not coalesce(usage_categories.is_message_usage, false)

),

parts as (

    select
        month,
        account_sid,
        'message_prices' as cost_part,
        cost_category,
        currency,
        cost,
        message_count,
        unpriced_count
    from priced_categories
    union all
    select
        *,
        null as message_count,
        null as unpriced_count
    from message_differences
    union all
    select
        *,
        null as message_count,
        null as unpriced_count
    from other_parts

)

select
    month,
    account_sid,
    cost_part,
    cost_category,
    currency,
    cost::decimal(18, 6) as cost,
    message_count::bigint as message_count,
    unpriced_count::bigint as unpriced_count

from parts
