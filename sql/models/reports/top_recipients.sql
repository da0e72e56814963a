-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}){% endif %}"
) }}

with

messages as (

    select
        *,
        date_trunc('month', message_date)::date as month
    from {{ ref('messages') }}
    where
        address is not null
        {% if is_incremental() %}
            and date_trunc('month', message_date)
            in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }})
        {% endif %}

),

recipients as (

    select
        month,
        account_sid,
        address as recipient,
        max(country) filter (where direction = 'outbound') as country,
        count(*) filter (where direction = 'outbound') as message_count,
        count(*) filter (where is_delivered) as delivered_count,
        count(*) filter (where is_failed) as failed_count,
        (sum(message_cost) filter (where direction = 'outbound'))::decimal(18, 6) as message_cost,
        count(*) filter (where direction = 'inbound') as reply_count,
        max(currency) filter (where direction = 'outbound') as currency,
        max(message_at) filter (where direction = 'outbound') as last_message_at
    from messages
    group by all

),

recipients_ranked as (

    select
        *,
        row_number() over (
            partition by month, account_sid
            order by message_count desc, recipient asc
        ) as recipient_rank
    from recipients
    where message_count > 0

)

select
    month,
    account_sid,
    recipient_rank,
    recipient,
    country,
    message_count,
    delivered_count,
    failed_count,
    message_cost,
    reply_count,
    currency,
    last_message_at at time zone 'UTC' as last_message_at

from recipients_ranked
where recipient_rank <= 100
