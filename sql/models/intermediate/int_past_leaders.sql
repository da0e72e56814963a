-- depends_on: {{ ref('int_changed_dates') }}
{% set open_month = dates_of_recent_periods(ref('int_last_run')).open_month %}
{{ config(
    database='unpublished',
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where before_month <> {{ dates_of_recent_periods(ref('int_last_run')).open_month }} or exists (from {{ ref('int_changed_dates') }} where message_date < {{ dates_of_recent_periods(ref('int_last_run')).open_month }}){% endif %}"
) }}

{% set listed = 1000 %}
with

-- None if all that was deleted above is there still.
cutoffs as materialized (

    select distinct
        month,
        account_sid,
        cutoff,
        last_recipient
    from {{ ref('int_monthly_leaders') }}
    where
        month < {{ open_month }}
        {% if is_incremental() %}
            and not exists (from {{ this }})
        {% endif %}

),

cutoffs_of_accounts as (

    select
        account_sid,
        sum(cutoff) as message_count,
        max(last_recipient) as last_recipient
    from cutoffs
    group by account_sid

),

leaders as (

    select
        account_sid,
        recipient,
        sum(message_count) as message_count,
        sum(cutoff) as cutoff_count
    from {{ ref('int_monthly_leaders') }}
    where
        month in (select month from cutoffs)
        and month < {{ open_month }}
    group by
        account_sid,
        recipient

),

-- Who is no leader of a month got no more than its cutoff.
ranked as (

    select
        leaders.account_sid,
        leaders.recipient,
        leaders.message_count
        + cutoffs_of_accounts.message_count
        - leaders.cutoff_count as most_count,
        row_number() over (
            partition by leaders.account_sid
            order by most_count desc, leaders.recipient asc
        ) as recipient_rank
    from leaders
    inner join cutoffs_of_accounts
        on leaders.account_sid = cutoffs_of_accounts.account_sid
    qualify recipient_rank <= {{ listed }} + 1

),

-- Of those who have as many as the cutoff, who is not listed comes after the last recipient: after
-- the last that is listed, and who was never a leader after all of the months' last ones.
cutoffs_of_past as (

    select
        cutoffs_of_accounts.account_sid,
        greatest(cutoffs_of_accounts.message_count, next_one.most_count) as cutoff,
        least(
            case
                when cutoffs_of_accounts.message_count = cutoff
                    then cutoffs_of_accounts.last_recipient
            end,
            case
                -- none is left out, or none that has as many
                when coalesce(next_one.most_count < cutoff, true) then null
                when last_one.most_count = next_one.most_count then last_one.recipient
                else ''
            end
        ) as last_recipient
    from cutoffs_of_accounts
    left join ranked as last_one
        on
            cutoffs_of_accounts.account_sid = last_one.account_sid
            and last_one.recipient_rank = {{ listed }}
    left join ranked as next_one
        on
            cutoffs_of_accounts.account_sid = next_one.account_sid
            and next_one.recipient_rank = {{ listed }} + 1

),

names as (

    select distinct recipient from ranked
    where recipient_rank <= {{ listed }}

),

days as (

    {{ days_of_recipients('names', "message_date < " ~ open_month) }}

),

-- With all that each of them got from any account.
listed as (

    select
        account_sid,
        recipient,
        nullif(max(country), '') as country,
        sum(message_count) as message_count,
        sum(delivered_count) as delivered_count,
        sum(failed_count) as failed_count,
        sum(message_cost) as message_cost,
        sum(reply_count) as reply_count,
        max(last_message_at) as last_message_at
    from days
    group by
        account_sid,
        recipient

)

select
    {{ open_month }} as before_month,
    listed.account_sid,
    listed.recipient,
    listed.country,
    listed.message_count::bigint as message_count,
    listed.delivered_count::bigint as delivered_count,
    listed.failed_count::bigint as failed_count,
    listed.message_cost::decimal(18, 6) as message_cost,
    listed.reply_count::bigint as reply_count,
    listed.last_message_at,
    -- an account that only got replies had no leaders
    coalesce(cutoffs_of_past.cutoff, 0)::bigint as cutoff,
    cutoffs_of_past.last_recipient

from listed
left join cutoffs_of_past
    on listed.account_sid = cutoffs_of_past.account_sid
