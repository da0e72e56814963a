-- depends_on: {{ ref('int_changed_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where message_date in (select message_date from {{ ref('int_changed_dates') }}){% endif %}"
) }}

with

-- only the days deleted above: all of them in an empty build file
messages as (

    select
        *,
        case when direction = 'inbound' then recipient else sender end as own_address
    from {{ ref('int_messages_changed') }}

)

select
    message_date,
    account_sid,
    channel,
    direction,
    country,
    own_address,
    messaging_service_sid,
    max(currency) as currency,
    count(*) as message_count,
    count(*) filter (where is_attempted) as attempted_count,
    count(*) filter (where is_delivered) as delivered_count,
    count(*) filter (where is_failed) as failed_count,
    sum(message_cost)::decimal(18, 6) as message_cost,
    count(*) filter (where message_cost is null) as unpriced_count

from messages
group by all
