with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

figures as (

    select
        daily_figures.calendar,
        daily_figures.figure_date,
        account_scopes.scope,
        max(account_scopes.currency) as currency,
        sum(daily_figures.message_count) as message_count,
        sum(daily_figures.inbound_count) as inbound_count,
        sum(daily_figures.attempted_count) as attempted_count,
        sum(daily_figures.delivered_count) as delivered_count,
        sum(daily_figures.failed_count) as failed_count,
        sum(daily_figures.total_cost) as total_cost
    from {{ ref('daily_figures') }} as daily_figures
    inner join account_scopes
        on daily_figures.account_sid = account_scopes.account_sid
    group by all

),

settled_days as (

    select * from {{ ref('int_settled_periods') }}
    where period = 'day'

)

select
    figures.calendar,
    figures.figure_date,
    figures.scope as account_sid,
    figures.currency,
    figures.message_count::bigint as message_count,
    figures.inbound_count::bigint as inbound_count,
    figures.attempted_count::bigint as attempted_count,
    figures.delivered_count::bigint as delivered_count,
    figures.failed_count::bigint as failed_count,
    (figures.attempted_count - figures.delivered_count - figures.failed_count)::bigint
        as unconfirmed_count,
    figures.delivered_count / nullif(figures.attempted_count, 0) as delivery_rate,
    figures.failed_count / nullif(figures.attempted_count, 0) as error_rate,
    figures.total_cost::decimal(18, 6) as total_cost,
    case
        when figures.calendar = 'gmt' then settled_days.usage_is_settled
        else settled_days.messages_are_settled
    end as is_settled

from figures
left join settled_days
    on
        figures.calendar = settled_days.calendar
        and figures.figure_date = settled_days.period_start
        and figures.scope = settled_days.scope
