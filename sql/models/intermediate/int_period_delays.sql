-- depends_on: {{ ref('int_changed_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where period not in ('day', 'month') or (period = 'day' and period_start in (select message_date from {{ ref('int_changed_dates') }})) or (period = 'month' and period_start in (select date_trunc('month', message_date) from {{ ref('int_changed_dates') }})) or (scope, account_set) not in (select (scope, account_set) from {{ ref('int_account_sets') }}){% endif %}"
) }}

with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

account_sets as (

    select * from {{ ref('int_account_sets') }}

),

period_dates as (

    select * from {{ ref('int_period_dates') }}
    where calendar = 'local'

),

-- only the periods deleted above: all of them in an empty build file
periods as (

    select distinct
        period_dates.period,
        period_dates.period_start,
        account_sets.scope
    from period_dates
    cross join account_sets
    {% if is_incremental() %}
        where (period_dates.period, period_dates.period_start, account_sets.scope) not in (
            select (period, period_start, scope) from {{ this }}
        )
    {% endif %}

),

delays as (

    select
        periods.period,
        periods.period_start,
        periods.scope,
        daily_seconds_to_send.seconds_to_send,
        sum(daily_seconds_to_send.message_count) as message_count
    from periods
    inner join period_dates
        on
            periods.period = period_dates.period
            and periods.period_start = period_dates.period_start
    inner join account_scopes
        on periods.scope = account_scopes.scope
    inner join {{ ref('daily_seconds_to_send') }} as daily_seconds_to_send
        on
            period_dates.figure_date = daily_seconds_to_send.message_date
            and account_scopes.account_sid = daily_seconds_to_send.account_sid
    group by all

),

delays_in_order as (

    select
        period,
        period_start,
        scope,
        seconds_to_send,
        sum(message_count) over in_order as messages_so_far,
        ((sum(message_count) over whole)::bigint - 1) * 0.95 as wanted_position
    from delays
    window
        whole as (partition by period, period_start, scope),
        in_order as (partition by period, period_start, scope order by seconds_to_send)

),

-- quantile_cont over messages: between the two nearest to the wanted position, counted from 0
percentiles as (

    select
        period,
        period_start,
        scope,
        max(messages_so_far) as message_count,
        min(seconds_to_send) filter (where messages_so_far > floor(wanted_position)) as below,
        min(seconds_to_send) filter (where messages_so_far > ceil(wanted_position)) as above,
        max(wanted_position - floor(wanted_position))::double as distance
    from delays_in_order
    group by all

)

select
    percentiles.period,
    percentiles.period_start,
    percentiles.scope,
    account_sets.account_set,
    percentiles.message_count::bigint as message_count,
    percentiles.below + percentiles.distance * (percentiles.above - percentiles.below)
        as seconds_to_send_p95

from percentiles
inner join account_sets on percentiles.scope = account_sets.scope
