with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

daily_volume as (

    select * from {{ ref('daily_volume') }}

)

select
    daily_volume.message_date,
    account_scopes.scope as account_sid,
    daily_volume.channel,
    daily_volume.direction,
    sum(daily_volume.message_count)::bigint as message_count,
    sum(daily_volume.attempted_count)::bigint as attempted_count,
    sum(daily_volume.delivered_count)::bigint as delivered_count,
    sum(daily_volume.failed_count)::bigint as failed_count

from daily_volume
inner join account_scopes
    on daily_volume.account_sid = account_scopes.account_sid
group by all
