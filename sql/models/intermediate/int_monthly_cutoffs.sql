-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}){% endif %}"
) }}

with

days as (

    select
        date_trunc('month', message_date)::date as month,
        account_sid,
        recipient,
        recipient_number,
        message_count
    from {{ ref('int_daily_recipients') }}
    where
        message_count > 0
        {% if is_incremental() %}
            and {{ is_touched('message_date', ref('int_touched_dates'), of_months=true) }}
        {% endif %}

),

-- One in sixteen, whoever they are: what these got is known exactly, and so that there are leaders
-- enough.
sampled as (

    select
        month,
        account_sid,
        recipient,
        sum(message_count)::bigint as message_count
    from days
    where recipient_number % 16 = 0
    group by
        month,
        account_sid,
        recipient

),

-- Few numbers for many recipients: a quantile would hold them all.
counts as (

    select
        month,
        account_sid,
        message_count,
        count(*) as recipient_count
    from sampled
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
        ) - recipient_count as above_count,
        -- of all leaders there are a hundred at least, as many as a report lists
        greatest(100, sum(recipient_count) over (partition by month, account_sid) / 50)
            as wanted_count
    from counts

),

cutoffs as (

    select
        month,
        account_sid,
        max(message_count) filter (where above_count >= wanted_count) as message_count
    from counts_in_order
    group by
        month,
        account_sid

),

accounts as (

    select distinct
        month,
        account_sid
    from days

)

-- Of few recipients each is a leader.
select
    accounts.month,
    accounts.account_sid,
    coalesce(cutoffs.message_count, 0) as message_count

from accounts
left join cutoffs
    on
        accounts.month = cutoffs.month
        and accounts.account_sid = cutoffs.account_sid
