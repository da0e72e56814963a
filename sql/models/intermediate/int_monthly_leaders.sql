-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    database='unpublished',
    materialized='incremental',
    incremental_strategy='delete+insert',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}){% endif %}"
) }}

{% set looks_at_few = is_incremental() and touches_few(ref('int_touched_dates')) %}
with

cutoffs as (

    select * from {{ ref('int_monthly_cutoffs') }}

),

-- Each use reads the few columns it needs.
days as not materialized (

    select
        *,
        date_trunc('month', message_date)::date as month
    from {{ ref('int_daily_recipients') }}
    {% if is_incremental() %}
        where {{ is_touched('message_date', ref('int_touched_dates'), of_months=true) }}
    {% endif %}

),

touched as (

    {% if looks_at_few %}
        with

        -- As they were, where they are all that got more than the cutoff is now.
        leaders_before as materialized (

            select
                leaders.month,
                leaders.account_sid,
                leaders.recipient
            from {{ this }} as leaders
            inner join cutoffs
                on
                    leaders.month = cutoffs.month
                    and leaders.account_sid = cutoffs.account_sid
                    and (
                        leaders.cutoff < cutoffs.message_count
                        or (
                            leaders.cutoff = cutoffs.message_count
                            and coalesce(leaders.last_recipient >= cutoffs.recipient, true)
                        )
                    )
            where {{ is_touched('leaders.month', ref('int_touched_dates'), of_months=true) }}

        ),

        accounts_anew as materialized (

            select
                month,
                account_sid
            from cutoffs
            where
                {{ is_touched('month', ref('int_touched_dates'), of_months=true) }}
                and (month, account_sid) not in (select (month, account_sid) from leaders_before)

        ),

        -- Who else leads now has got something on a touched day.
        known as materialized (

            select * from leaders_before
            union
            select
                month,
                account_sid,
                recipient
            from days
            where
                message_count > 0
                and {{ is_touched('message_date', ref('int_touched_dates')) }}
            union
            select
                days.month,
                days.account_sid,
                days.recipient
            from days
            semi join accounts_anew
                on
                    days.month = accounts_anew.month
                    and days.account_sid = accounts_anew.account_sid
            where days.message_count > 0

        ),

        -- Numbers first: few others share one.
        found as materialized (

            select * from days
            where recipient_number in (select {{ number_of('recipient') }} from known)

        )

        select * from found
        where (month, account_sid, recipient) in (select (month, account_sid, recipient) from known)
    {% else %}
        select * from days
    {% endif %}

),

recipients as (

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
    from touched
    group by
        month,
        account_sid,
        recipient

)

select
    recipients.*,
    cutoffs.message_count as cutoff,
    cutoffs.recipient as last_recipient

from recipients
inner join cutoffs
    on
        recipients.month = cutoffs.month
        and recipients.account_sid = cutoffs.account_sid
        and (
            recipients.message_count > cutoffs.message_count
            or (
                recipients.message_count = cutoffs.message_count
                and recipients.recipient <= cutoffs.recipient
            )
        )
{{ in_order_of('recipients.month', ref('int_touched_dates')) }}
