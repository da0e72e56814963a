with

last_run as (

    select * from {{ ref('int_last_run') }}

),

hourly_messages as (

    select * from {{ ref('hourly_messages') }}

),

usage_categories as (

    select * from {{ ref('usage_categories') }}

),

unbroken_reads as (

    select distinct
        account_sid,
        unbroken_from,
        unbroken_until,
        unnest(
            generate_series(
                (unbroken_from at time zone '{{ var("timezone") }}')::date,
                (unbroken_until at time zone '{{ var("timezone") }}')::date,
                interval 1 day
            )
        )::date as read_date
    from {{ ref('reads') }}
    where dataset = 'messages'

),

-- A day that was read and had no message has figures too: zeros.
dates_read as (

    select distinct
        unbroken_reads.account_sid,
        unbroken_reads.read_date
    from unbroken_reads
    cross join last_run
    where
        unbroken_reads.unbroken_from
        <= unbroken_reads.read_date::timestamp at time zone '{{ var("timezone") }}'
        and unbroken_reads.unbroken_until
        > unbroken_reads.read_date::timestamp at time zone '{{ var("timezone") }}'
        and (
            unbroken_reads.unbroken_until
            >= (unbroken_reads.read_date + 1)::timestamp at time zone '{{ var("timezone") }}'
            or unbroken_reads.read_date = last_run.local_date
        )

),

messages_by_day as (

    select
        *,
        'local' as calendar,
        message_date as figure_date
    from hourly_messages
    union all
    select
        *,
        'gmt' as calendar,
        utc_date as figure_date
    from hourly_messages

),

message_figures as (

    select
        calendar,
        figure_date,
        account_sid,
        sum(message_count) as message_count,
        sum(message_count) filter (where direction = 'inbound') as inbound_count,
        sum(segment_count) as segment_count,
        sum(attempted_count) as attempted_count,
        sum(delivered_count) as delivered_count,
        sum(failed_count) as failed_count,
        sum(blocked_count) as blocked_count,
        sum(opt_out_count) as opt_out_count,
        sum(message_cost) as message_cost,
        sum(failed_cost) as failed_cost,
        sum(unpriced_count) as unpriced_count,
        sum(unsettled_count) as unsettled_count,
        sum(scheduled_count) as scheduled_count
    from messages_by_day
    group by all

),

cost_figures as (

    select
        'gmt' as calendar,
        daily_costs.usage_date as figure_date,
        daily_costs.account_sid,
        -- without Twilio's total there is no `other`, and the sum is not all
        case
            when bool_or(daily_costs.cost_category = 'other') then sum(daily_costs.cost)
        end as total_cost,
        coalesce(
            sum(daily_costs.cost) filter (where usage_categories.is_message_usage), 0
        ) as message_usage_cost,
        coalesce(
            sum(daily_costs.cost) filter (where usage_categories.is_monthly_fee), 0
        ) as monthly_fee_cost,
        sum(daily_costs.cost) filter (
            where daily_costs.cost_category = 'failed-message-processing-fee'
        ) as failure_fee_cost,
        sum(daily_costs.cost) filter (where daily_costs.cost_category = 'calls') as call_cost,
        sum(daily_costs.event_count) filter (where daily_costs.cost_category = 'calls')
            as call_count
    from {{ ref('daily_costs') }} as daily_costs
    left join usage_categories
        on daily_costs.cost_category = usage_categories.category
    group by all

),

days as (

    select
        calendar,
        figure_date,
        account_sid
    from message_figures
    union
    select
        calendar,
        figure_date,
        account_sid
    from cost_figures
    union
    select
        'local' as calendar,
        read_date as figure_date,
        account_sid
    from dates_read

)

select
    days.calendar,
    days.figure_date,
    days.account_sid,
    coalesce(message_figures.message_count, 0)::bigint as message_count,
    coalesce(message_figures.inbound_count, 0)::bigint as inbound_count,
    coalesce(message_figures.segment_count, 0)::bigint as segment_count,
    coalesce(message_figures.attempted_count, 0)::bigint as attempted_count,
    coalesce(message_figures.delivered_count, 0)::bigint as delivered_count,
    coalesce(message_figures.failed_count, 0)::bigint as failed_count,
    coalesce(message_figures.blocked_count, 0)::bigint as blocked_count,
    coalesce(message_figures.opt_out_count, 0)::bigint as opt_out_count,
    message_figures.message_cost::decimal(18, 6) as message_cost,
    message_figures.failed_cost::decimal(18, 6) as failed_cost,
    coalesce(message_figures.unpriced_count, 0)::bigint as unpriced_count,
    coalesce(message_figures.unsettled_count, 0)::bigint as unsettled_count,
    coalesce(message_figures.scheduled_count, 0)::bigint as scheduled_count,
    cost_figures.total_cost::decimal(18, 6) as total_cost,
    cost_figures.message_usage_cost::decimal(18, 6) as message_usage_cost,
    cost_figures.monthly_fee_cost::decimal(18, 6) as monthly_fee_cost,
    cost_figures.failure_fee_cost::decimal(18, 6) as failure_fee_cost,
    cost_figures.call_cost::decimal(18, 6) as call_cost,
    cost_figures.call_count::bigint as call_count

from days
left join message_figures
    on
        days.calendar = message_figures.calendar
        and days.figure_date = message_figures.figure_date
        and days.account_sid = message_figures.account_sid
left join cost_figures
    on
        days.calendar = cost_figures.calendar
        and days.figure_date = cost_figures.figure_date
        and days.account_sid = cost_figures.account_sid
