-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where message_date in (select message_date from {{ ref('int_touched_dates') }}){% endif %}"
) }}

with

-- only the days deleted above: all of them in an empty build file
messages as (

    select
        *,
        {{ utc_time('message_at') }}::date as utc_date,
        sent_at is not null and status not in ('failed', 'canceled') as is_billed
    from {{ ref('int_messages_settled') }}

),

blocking_codes as (

    select error_code from {{ ref('error_codes') }}
    where is_blocked

),

hours as (

    select
        message_hour,
        hour_started_at,
        utc_date,
        account_sid,
        channel,
        direction,
        max(currency) as currency,
        count(*) as message_count,
        coalesce(sum(segment_count), 0)::bigint as segment_count,
        coalesce(sum(media_count), 0)::bigint as media_count,
        count(*) filter (where is_attempted) as attempted_count,
        count(*) filter (where is_delivered) as delivered_count,
        count(*) filter (where is_failed) as failed_count,
        count(*) filter (
            where is_attempted and error_code in (select error_code from blocking_codes)
        ) as blocked_count,
        count(*) filter (where is_opt_out_request) as opt_out_count,
        count(*) filter (where is_billed) as billed_count,
        coalesce(sum(segment_count) filter (where is_billed), 0)::bigint as billed_segment_count,
        sum(message_cost)::decimal(18, 6) as message_cost,
        (sum(message_cost) filter (where is_failed))::decimal(18, 6) as failed_cost,
        count(*) filter (where message_cost is null) as unpriced_count,
        count(*) filter (where not is_settled) as unsettled_count,
        count(*) filter (where status = 'scheduled') as scheduled_count

    from messages
    group by all

)

-- Texts that follow from the hour are made once for it, not for each of its messages.
select
    message_hour::date as message_date,
    message_hour,
    {{ utc_offset("date_diff('minute', hour_started_at at time zone 'UTC', message_hour)") }}
        as utc_offset,
    * exclude (message_hour)

from hours
