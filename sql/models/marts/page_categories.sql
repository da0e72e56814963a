with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

period_dates as (

    select * from {{ ref('int_period_dates') }}
    where calendar = 'gmt' and page_period is not null

),

usage_categories as (

    select * from {{ ref('usage_categories') }}

),

costs as (

    select
        period_dates.page_period,
        account_scopes.scope as account_sid,
        daily_costs.cost_category,
        max(account_scopes.currency) as currency,
        sum(daily_costs.cost) as cost,
        sum(daily_costs.event_count) as event_count
    from {{ ref('daily_costs') }} as daily_costs
    inner join period_dates
        on daily_costs.usage_date = period_dates.figure_date
    inner join account_scopes
        on daily_costs.account_sid = account_scopes.account_sid
    group by all

)

select
    costs.page_period,
    costs.account_sid,
    costs.cost_category,
    costs.currency,
    costs.cost::decimal(18, 6) as cost,
    costs.cost / nullif(sum(costs.cost) over (partition by costs.page_period, costs.account_sid), 0)
        as share_of_cost,
    costs.event_count::decimal(24, 6) as event_count,
    usage_categories.title_en,
    usage_categories.title_es

from costs
left join usage_categories
    on costs.cost_category = usage_categories.category
