-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}){% endif %}"
) }}

with

-- only the months deleted above: all of them in an empty build file
daily_recipients as (

    select
        *,
        date_trunc('month', message_date)::date as month
    from {{ ref('int_daily_recipients') }}
    {% if is_incremental() %}
        where {{ is_touched('message_date', ref('int_touched_dates'), of_months=true) }}
    {% endif %}

)

select
    month,
    account_sid,
    recipient,
    max(country) as country,
    sum(message_count)::bigint as message_count,
    sum(delivered_count)::bigint as delivered_count,
    sum(failed_count)::bigint as failed_count,
    sum(message_cost)::decimal(18, 6) as message_cost,
    sum(reply_count)::bigint as reply_count,
    max(currency) as currency,
    max(last_message_at) as last_message_at

from daily_recipients
group by all
{{ in_order_of('month', ref('int_touched_dates')) }}
