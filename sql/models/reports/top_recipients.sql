-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}){% endif %}"
) }}

with

monthly_recipients as (

    select * from {{ ref('monthly_recipients') }}
    where
        message_count > 0
        {% if is_incremental() %}
            and {{ is_touched('month', ref('int_touched_dates'), of_months=true) }}
        {% endif %}

),

recipients_ranked as (

    select
        *,
        row_number() over (
            partition by month, account_sid
            order by message_count desc, recipient asc
        ) as recipient_rank
    from monthly_recipients

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
