-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}){% endif %}"
) }}

with

days as not materialized (

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
sampled as materialized (

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
        ) as recipients_so_far,
        -- of all leaders there are a hundred at least, as many as a report lists
        greatest(100, sum(recipient_count) over (partition by month, account_sid) // 50)
            as wanted_count
    from counts

),

-- How many the last of the leaders has, and the how manieth of those who have as many it is.
last_of_leaders as (

    select
        month,
        account_sid,
        message_count,
        wanted_count - (recipients_so_far - recipient_count) as place
    from counts_in_order
    where
        recipients_so_far >= wanted_count
        and recipients_so_far - recipient_count < wanted_count

),

cutoffs as (

    select
        sampled.month,
        sampled.account_sid,
        sampled.message_count,
        sampled.recipient,
        last_of_leaders.place
    from sampled
    inner join last_of_leaders
        on
            sampled.month = last_of_leaders.month
            and sampled.account_sid = last_of_leaders.account_sid
            and sampled.message_count = last_of_leaders.message_count
    qualify
        row_number() over (
            partition by sampled.month, sampled.account_sid
            order by sampled.recipient
        ) = last_of_leaders.place

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
    coalesce(cutoffs.message_count, 0) as message_count,
    cutoffs.recipient

from accounts
left join cutoffs
    on
        accounts.month = cutoffs.month
        and accounts.account_sid = cutoffs.account_sid
