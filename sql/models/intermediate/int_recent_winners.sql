{{ config(materialized='table') }}

{% set dates = dates_of_recent_periods(ref('int_last_run')) %}
-- The winners first, by their number of messages alone; then what else there is to say of them.
-- All of it for every recipient, period and scope would not fit into memory.
with

account_scopes as (

    select
        *,
        count(*) over (partition by scope) as account_count
    from {{ ref('account_scopes') }}

),

-- What the last days and all time are made of: as few days as can be, the rest whole months. The
-- 90 days are whole months and the days before and after them; those after are of the last 30. Each
-- use reads the few columns it needs: kept for all uses, it would be two whole tables.
days as not materialized (

    select * from {{ ref('daily_recipients') }}
    where
        message_date >= {{ dates.last_90_days }}
        and message_date < {{ dates.end_date }}
        and (
            message_date < {{ dates.first_month }}
            or message_date >= {{ dates.last_30_days }}
        )

),

pieces as not materialized (

    select
        * exclude (message_date),
        false as is_of_all,
        message_date < {{ dates.first_month }}
        or message_date >= {{ dates.last_month }} as is_of_last_90_days,
        message_date >= {{ dates.last_30_days }} as is_of_last_30_days,
        message_date >= {{ dates.last_7_days }} as is_of_last_7_days
    from days
    union all by name
    select
        * exclude (month),
        true as is_of_all,
        month >= {{ dates.first_month }}
        and month < {{ dates.last_month }} as is_of_last_90_days,
        false as is_of_last_30_days,
        false as is_of_last_7_days
    from {{ ref('monthly_recipients') }}

),

-- What those on the months' lists of the first got at least: of all time and of 90 days what the
-- lists say, and of any period what its part of the days adds up to. The twentieth of them has no
-- more than the twentieth of all...
listed as (

    select
        account_scopes.scope,
        top_recipients.recipient,
        sum(top_recipients.message_count) as "all",
        sum(top_recipients.message_count) filter (
            where top_recipients.month >= {{ dates.first_month }}
            and top_recipients.month < {{ dates.last_month }}
        ) as last_90_days,
        null as last_30_days,
        null as last_7_days
    from {{ ref('top_recipients') }} as top_recipients
    inner join account_scopes
        on top_recipients.account_sid = account_scopes.account_sid
    group by
        account_scopes.scope,
        top_recipients.recipient
    union all
    select
        account_scopes.scope,
        days.recipient,
        sum(days.message_count) as "all",
        sum(days.message_count) as last_90_days,
        sum(days.message_count) filter (
            where days.message_date >= {{ dates.last_30_days }}
        ) as last_30_days,
        sum(days.message_count) filter (
            where days.message_date >= {{ dates.last_7_days }}
        ) as last_7_days
    from days
    inner join account_scopes
        on days.account_sid = account_scopes.account_sid
    where
        days.message_count > 0
        and days.recipient in (
            select recipient from {{ ref('top_recipients') }}
            where
                month = date_trunc('month', {{ dates.last_90_days }})
                or month >= date_trunc('month', {{ dates.last_30_days }})
        )
    group by
        account_scopes.scope,
        days.recipient

),

listed_once as (

    select
        scope,
        recipient,
        max("all") as "all",
        max(last_90_days) as last_90_days,
        max(last_30_days) as last_30_days,
        max(last_7_days) as last_7_days
    from listed
    group by
        scope,
        recipient

),

listed_by_period as (

    unpivot listed_once
    on "all", last_90_days, last_30_days, last_7_days
    into name page_period value message_count

),

fewest_listed as (

    select
        page_period,
        scope,
        list_min(max(message_count, 20)) as message_count
    from listed_by_period
    group by
        page_period,
        scope
    having count(*) >= 20

),

-- ... and who has as many, has their average in some month of the period with some account; in the
-- last 7 days, on some day. (Months after the last run count too: that makes it a little less.)
months as (

    select distinct month from {{ ref('monthly_recipients') }}

),

last_day as (

    select max(message_date) as message_date from {{ ref('daily_recipients') }}
    where message_date < {{ dates.end_date }}

),

-- A period without messages would make everybody since its first month a candidate.
periods as (

    select
        periods.page_period,
        periods.start_date
    from last_day
    inner join (
        values
        ('all', null),
        ('last_90_days', {{ dates.last_90_days }}),
        ('last_30_days', {{ dates.last_30_days }})
    ) as periods (page_period, start_date)
        on periods.page_period = 'all' or last_day.message_date >= periods.start_date

),

months_of_periods as (

    select
        months.month,
        periods.page_period,
        count(*) over (partition by periods.page_period) as month_count
    from months
    inner join periods
        on
            periods.page_period = 'all'
            or months.month >= date_trunc('month', periods.start_date)

),

-- Rounded up, as who has more than one has two: rounded down, a long tail of one each would be let
-- in. In the type it is held against, else DuckDB passes over no rows. Where fewer than twenty are
-- known, one message is enough.
fewest_in_a_month as (

    select
        months_of_periods.month,
        account_scopes.account_sid,
        min(
            coalesce(
                ceil(
                    fewest_listed.message_count
                    / (account_scopes.account_count * months_of_periods.month_count)
                ),
                1
            )
        )::bigint as message_count
    from months_of_periods
    cross join account_scopes
    left join fewest_listed
        on
            months_of_periods.page_period = fewest_listed.page_period
            and account_scopes.scope = fewest_listed.scope
    group by
        months_of_periods.month,
        account_scopes.account_sid

),

fewest_on_a_day as (

    select
        account_scopes.account_sid,
        min(
            coalesce(ceil(fewest_listed.message_count / (account_scopes.account_count * 7)), 1)
        )::bigint as message_count
    from account_scopes
    left join fewest_listed
        on
            fewest_listed.page_period = 'last_7_days'
            and account_scopes.scope = fewest_listed.scope
    group by account_scopes.account_sid

),

-- So of all recipients only these are added up.
candidates as (

    select monthly_recipients.recipient
    from {{ ref('monthly_recipients') }} as monthly_recipients
    inner join fewest_in_a_month
        on
            monthly_recipients.month = fewest_in_a_month.month
            and monthly_recipients.account_sid = fewest_in_a_month.account_sid
            and monthly_recipients.message_count >= fewest_in_a_month.message_count
    union
    select days.recipient
    from days
    inner join fewest_on_a_day
        on
            days.account_sid = fewest_on_a_day.account_sid
            and days.message_count >= fewest_on_a_day.message_count
    where days.message_date >= {{ dates.last_7_days }}

),

-- Each recipient of each account once, with what it got in every such period.
counts as (

    select
        account_sid,
        recipient,
        sum(message_count) filter (where is_of_all) as "all",
        sum(message_count) filter (where is_of_last_90_days) as last_90_days,
        sum(message_count) filter (where is_of_last_30_days) as last_30_days,
        sum(message_count) filter (where is_of_last_7_days) as last_7_days
    from pieces
    where
        message_count > 0
        and recipient in (select recipient from candidates)
    group by
        account_sid,
        recipient

),

counts_by_scope as (

    select
        account_scopes.scope,
        counts.recipient,
        sum(counts."all") as "all",
        sum(counts.last_90_days) as last_90_days,
        sum(counts.last_30_days) as last_30_days,
        sum(counts.last_7_days) as last_7_days
    from counts
    inner join account_scopes
        on counts.account_sid = account_scopes.account_sid
    group by
        account_scopes.scope,
        counts.recipient

),

counts_by_period as (

    -- what is null, a recipient of another time, is left out
    unpivot counts_by_scope
    on "all", last_90_days, last_30_days, last_7_days
    into name page_period value message_count

),

-- Only who may be among the winners is put in order: far fewer than all.
fewest_to_win as (

    select
        page_period,
        scope,
        list_min(max(message_count, 20)) as message_count
    from counts_by_period
    group by
        page_period,
        scope

),

winners_of_periods as (

    select
        counts_by_period.page_period,
        counts_by_period.scope,
        counts_by_period.recipient,
        row_number() over (
            partition by counts_by_period.page_period, counts_by_period.scope
            order by counts_by_period.message_count desc, counts_by_period.recipient asc
        ) as recipient_rank
    from counts_by_period
    inner join fewest_to_win
        on
            counts_by_period.page_period = fewest_to_win.page_period
            and counts_by_period.scope = fewest_to_win.scope
            and counts_by_period.message_count >= fewest_to_win.message_count
    qualify recipient_rank <= 20

),

figures as (

    select
        winners_of_periods.page_period,
        winners_of_periods.scope,
        winners_of_periods.recipient_rank,
        pieces.*
    from winners_of_periods
    inner join account_scopes
        on winners_of_periods.scope = account_scopes.scope
    inner join pieces
        on
            winners_of_periods.recipient = pieces.recipient
            and account_scopes.account_sid = pieces.account_sid
            and case winners_of_periods.page_period
                when 'all' then pieces.is_of_all
                when 'last_90_days' then pieces.is_of_last_90_days
                when 'last_30_days' then pieces.is_of_last_30_days
                when 'last_7_days' then pieces.is_of_last_7_days
            end

)

select
    page_period,
    scope,
    recipient_rank,
    recipient,
    max(country) as country,
    sum(message_count) as message_count,
    sum(delivered_count) as delivered_count,
    sum(failed_count) as failed_count,
    sum(message_cost) as message_cost,
    sum(reply_count) as reply_count,
    max(last_message_at) as last_message_at

from figures
group by
    page_period,
    scope,
    recipient_rank,
    recipient
