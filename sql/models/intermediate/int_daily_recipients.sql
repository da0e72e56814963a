-- depends_on: {{ ref('int_changed_dates') }}
{{ config(
    database='unpublished',
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where message_date in (select message_date from {{ ref('int_changed_dates') }}){% endif %}"
) }}

with

-- only the days deleted above: all of them in an empty build file
messages as (

    select * from {{ ref('int_messages_changed') }}

)

select
    message_date,
    account_sid,
    address as recipient,
    -- not null: a few of many texts take DuckDB five times as long to look up where some are null
    coalesce(max(country) filter (where direction = 'outbound'), '') as country,
    count(address) filter (where direction = 'outbound') as message_count,
    count(*) filter (where is_delivered) as delivered_count,
    count(*) filter (where is_failed) as failed_count,
    (sum(message_cost) filter (where direction = 'outbound'))::decimal(18, 6) as message_cost,
    count(address) filter (where direction = 'inbound') as reply_count,
    coalesce(max(currency) filter (where direction = 'outbound'), '') as currency,
    max(message_at) filter (where direction = 'outbound') as last_message_at,
    {{ number_of('address') }} as recipient_number

from messages
group by all
-- What has no address, or no known direction, counts as neither. A where would have to compute the
-- address of each message once more.
having message_count > 0 or reply_count > 0
{{ in_order_of('message_date', ref('int_changed_dates')) }}
