with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

period_dates as (

    select * from {{ ref('int_period_dates') }}
    where calendar = 'local' and page_period is not null

),

-- by account and day first: channels and offsets do not matter here
hours as (

    select
        message_date,
        account_sid,
        hour(message_hour) as hour_of_day,
        sum(attempted_count) as attempted_count,
        sum(delivered_count) as delivered_count
    from {{ ref('hourly_messages') }}
    where attempted_count > 0
    group by all

)

select
    period_dates.page_period,
    account_scopes.scope as account_sid,
    isodow(hours.message_date)::integer as weekday,
    hours.hour_of_day::integer as hour_of_day,
    sum(hours.attempted_count)::bigint as attempted_count,
    sum(hours.delivered_count)::bigint as delivered_count,
    sum(hours.delivered_count) / sum(hours.attempted_count) as delivery_rate

from hours
inner join period_dates
    on hours.message_date = period_dates.figure_date
inner join account_scopes
    on hours.account_sid = account_scopes.account_sid
group by all
