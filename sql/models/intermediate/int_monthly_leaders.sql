-- depends_on: {{ ref('int_changed_dates') }}
{{ config(
    database='unpublished',
    materialized='incremental',
    incremental_strategy='delete+insert',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_changed_dates') }}){% endif %}"
) }}

{% set looks_at_few = is_incremental() and touches_few(ref('int_changed_dates')) %}
with

-- Each use reads the few columns it needs.
days as not materialized (

    select
        *,
        date_trunc('month', message_date)::date as month
    from {{ ref('int_daily_recipients') }}
    {% if is_incremental() %}
        where {{ is_touched('message_date', ref('int_changed_dates'), of_months=true) }}
    {% endif %}

),

-- One in sixteen, whoever they are: what these got is known exactly, and so that there are leaders
-- enough. Of 2^32 numbers the first 2^28: DuckDB looks for these before it reads addresses.
sampled as materialized (

    select
        month,
        account_sid,
        recipient,
        sum(message_count)::bigint as message_count
    from days
    where message_count > 0 and recipient_number < 268435456
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

last_ones as (

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

-- Who had messages in a month has leaders of it, or got the first ones on a day that changed.
accounts as (

    {% if looks_at_few %}
        select
            month,
            account_sid
        from days
        where
            message_count > 0
            and {{ is_touched('message_date', ref('int_changed_dates')) }}
        union
        select
            month,
            account_sid
        from {{ this }}
        where {{ is_touched('month', ref('int_changed_dates'), of_months=true) }}
    {% else %}
        select distinct
            month,
            account_sid
        from days
        where message_count > 0
    {% endif %}

),

-- Who comes before the cutoff in the order of messages, most first, and of addresses, leads: one in
-- fifty, as far as the sample shows, and at least a hundred. Of few recipients each is a leader.
cutoffs as materialized (

    select
        accounts.month,
        accounts.account_sid,
        coalesce(last_ones.message_count, 0) as message_count,
        last_ones.recipient
    from accounts
    left join last_ones
        on
            accounts.month = last_ones.month
            and accounts.account_sid = last_ones.account_sid

),

touched as (

    {% if looks_at_few %}
        with

        -- As they were, where they are all that got more than the cutoff is now.
        leaders_before as materialized (

            select
                leaders.month,
                leaders.account_sid,
                leaders.recipient_number
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
            where {{ is_touched('leaders.month', ref('int_changed_dates'), of_months=true) }}

        ),

        accounts_anew as materialized (

            select
                month,
                account_sid
            from cutoffs
            where (month, account_sid) not in (select (month, account_sid) from leaders_before)

        ),

        -- Who else leads now has got something on a day that changed. By numbers: who else has one
        -- of these is added up too, and leads or does not.
        numbers as materialized (

            select recipient_number from leaders_before
            union
            select recipient_number from days
            where
                message_count > 0
                and {{ is_touched('message_date', ref('int_changed_dates')) }}
            union
            select days.recipient_number
            from days
            semi join accounts_anew
                on
                    days.month = accounts_anew.month
                    and days.account_sid = accounts_anew.account_sid
            where days.message_count > 0

        )

        select * from days
        where recipient_number in (select recipient_number from numbers)
    {% else %}
        select * from days
    {% endif %}

),

recipients as (

    select
        month,
        account_sid,
        recipient,
        {{ number_of('recipient') }} as recipient_number,
        nullif(max(country), '') as country,
        sum(message_count)::bigint as message_count,
        sum(delivered_count)::bigint as delivered_count,
        sum(failed_count)::bigint as failed_count,
        sum(message_cost)::decimal(18, 6) as message_cost,
        sum(reply_count)::bigint as reply_count,
        nullif(max(currency), '') as currency,
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
{{ in_order_of('recipients.month', ref('int_changed_dates')) }}
