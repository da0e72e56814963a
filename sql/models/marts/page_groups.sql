with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

period_dates as (

    select * from {{ ref('int_period_dates') }}
    where calendar = 'local' and page_period is not null

),

-- by account first: periods overlap, and every account has two scopes
reach as (

    select
        period_dates.page_period,
        daily_reach.account_sid,
        daily_reach.channel,
        daily_reach.direction,
        daily_reach.country,
        daily_reach.own_address,
        daily_reach.messaging_service_sid,
        sum(daily_reach.message_count) as message_count,
        sum(daily_reach.attempted_count) as attempted_count,
        sum(daily_reach.delivered_count) as delivered_count,
        sum(daily_reach.failed_count) as failed_count,
        sum(daily_reach.message_cost) as message_cost,
        sum(daily_reach.unpriced_count) as unpriced_count
    from {{ ref('daily_reach') }} as daily_reach
    inner join period_dates
        on daily_reach.message_date = period_dates.figure_date
    group by all

),

grouped as (

    select
        reach.page_period,
        account_scopes.scope,
        case
            when grouping(reach.channel) = 0 then 'channel'
            when grouping(reach.country) = 0 then 'country'
            when grouping(reach.own_address) = 0 then 'sender'
            else 'messaging_service'
        end as dimension,
        coalesce(
            reach.channel, reach.country, reach.own_address, reach.messaging_service_sid
        ) as member,
        max(account_scopes.currency) as currency,
        sum(reach.message_count) as message_count,
        sum(reach.message_count) filter (where reach.direction = 'inbound') as inbound_count,
        sum(reach.message_count) filter (where reach.direction = 'outbound') as outbound_count,
        sum(reach.attempted_count) as attempted_count,
        sum(reach.delivered_count) as delivered_count,
        sum(reach.failed_count) as failed_count,
        sum(reach.message_cost) as message_cost,
        sum(reach.unpriced_count) as unpriced_count
    from reach
    inner join account_scopes
        on reach.account_sid = account_scopes.account_sid
    group by
        reach.page_period,
        account_scopes.scope,
        grouping sets (
            (reach.channel),
            (reach.country),
            (reach.own_address),
            (reach.messaging_service_sid)
        )

)

select
    page_period,
    scope as account_sid,
    dimension,
    member,
    currency,
    message_count::bigint as message_count,
    coalesce(inbound_count, 0)::bigint as inbound_count,
    coalesce(outbound_count, 0)::bigint as outbound_count,
    attempted_count::bigint as attempted_count,
    delivered_count::bigint as delivered_count,
    failed_count::bigint as failed_count,
    (attempted_count - delivered_count - failed_count)::bigint as unconfirmed_count,
    delivered_count / nullif(attempted_count, 0) as delivery_rate,
    failed_count / nullif(attempted_count, 0) as error_rate,
    message_cost::decimal(18, 6) as message_cost,
    unpriced_count::bigint as unpriced_count

from grouped
