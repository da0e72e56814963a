-- depends_on: {{ ref('int_changed_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_changed_dates') }}){% endif %}"
) }}

{% set listed = 100 %}
with

leaders as (

    select * from {{ ref('int_monthly_leaders') }}
    {% if is_incremental() %}
        where {{ is_touched('month', ref('int_changed_dates'), of_months=true) }}
    {% endif %}

),

-- Only who may be among the winners is put in order: far fewer than all.
fewest_to_win as (

    select
        month,
        account_sid,
        list_min(max(message_count, {{ listed }})) as message_count
    from leaders
    group by
        month,
        account_sid

),

recipients_ranked as (

    select
        leaders.*,
        row_number() over (
            partition by leaders.month, leaders.account_sid
            order by leaders.message_count desc, leaders.recipient asc
        ) as recipient_rank
    from leaders
    semi join fewest_to_win
        on
            leaders.month = fewest_to_win.month
            and leaders.account_sid = fewest_to_win.account_sid
            and leaders.message_count >= fewest_to_win.message_count
    qualify recipient_rank <= {{ listed }}

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
