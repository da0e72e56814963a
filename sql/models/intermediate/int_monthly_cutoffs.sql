-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}){% endif %}"
) }}

with

monthly_recipients as (

    select
        month,
        account_sid,
        message_count
    from {{ ref('monthly_recipients') }}
    where
        message_count > 0
        {% if is_incremental() %}
            and {{ is_touched('month', ref('int_touched_dates'), of_months=true) }}
        {% endif %}

),

-- Few numbers for many recipients: a quantile would hold them all.
counts as (

    select
        month,
        account_sid,
        message_count,
        count(*) as recipient_count
    from monthly_recipients
    group by
        month,
        account_sid,
        message_count

),

counts_in_order as (

    select
        *,
        sum(recipient_count) over (
            partition by month, account_sid
            order by message_count desc
        ) as recipients_so_far,
        sum(recipient_count) over (partition by month, account_sid) as recipients_of_all
    from counts

)

-- Of few recipients each is looked at, of many one in fifty.
select
    month,
    account_sid,
    coalesce(
        max(message_count) filter (
            where recipients_of_all > 2000 and recipients_so_far > recipients_of_all / 50
        ),
        0
    ) as message_count

from counts_in_order
group by
    month,
    account_sid
