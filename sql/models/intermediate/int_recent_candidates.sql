{{ config(materialized='table') }}

{% set dates = dates_of_recent_periods(ref('int_last_run')) %}
-- Of a long history there are as many recipients as messages. Who may be among the winners is known
-- from little: from each month's leaders, and from the most that anybody else got.
with

account_scopes as (

    select
        *,
        count(*) over (partition by scope) as account_count
    from {{ ref('account_scopes') }}

),

cutoffs as (

    select * from {{ ref('int_monthly_cutoffs') }}

),

last_day as (

    select max(message_date) as message_date from {{ ref('int_daily_recipients') }}
    where
        message_date >= {{ dates.last_90_days }}
        and message_date < {{ dates.end_date }}

),

-- Without those that have no message.
periods as (

    select
        periods.page_period,
        periods.start_date
    from last_day
    inner join (
        values
        ('all', null),
        ('last_90_days', {{ dates.last_90_days }}),
        ('last_30_days', {{ dates.last_30_days }}),
        ('last_7_days', {{ dates.last_7_days }})
    ) as periods (page_period, start_date)
        on periods.page_period = 'all' or last_day.message_date >= periods.start_date

),

-- A period's messages are all in these months, which may have more.
months_of_periods as (

    select
        months.month,
        periods.page_period,
        periods.page_period = 'all'
        or (
            periods.page_period = 'last_90_days'
            and months.month >= {{ dates.first_month }}
            and months.month < {{ dates.last_month }}
        ) as is_whole,
        count(*) over (partition by periods.page_period) as month_count
    from (select distinct month from cutoffs) as months
    inner join periods
        on
            periods.page_period = 'all'
            or months.month >= date_trunc('month', periods.start_date)

),

-- Who got more than the cutoff, and the first of the month, who may have no more than it.
leaders as (

    select
        monthly_recipients.month,
        monthly_recipients.account_sid,
        monthly_recipients.recipient,
        monthly_recipients.message_count,
        cutoffs.message_count as cutoff
    from {{ ref('monthly_recipients') }} as monthly_recipients
    inner join cutoffs
        on
            monthly_recipients.month = cutoffs.month
            and monthly_recipients.account_sid = cutoffs.account_sid
            and monthly_recipients.message_count > cutoffs.message_count
    union all
    select
        top_recipients.month,
        top_recipients.account_sid,
        top_recipients.recipient,
        top_recipients.message_count,
        cutoffs.message_count as cutoff
    from {{ ref('top_recipients') }} as top_recipients
    inner join cutoffs
        on
            top_recipients.month = cutoffs.month
            and top_recipients.account_sid = cutoffs.account_sid
            and top_recipients.message_count <= cutoffs.message_count

),

leaders_by_period as materialized (

    select
        months_of_periods.page_period,
        account_scopes.scope,
        leaders.recipient,
        sum(leaders.message_count) as message_count,
        sum(leaders.message_count) filter (where months_of_periods.is_whole) as known_count,
        sum(leaders.cutoff) as cutoff_count
    from leaders
    inner join months_of_periods
        on leaders.month = months_of_periods.month
    inner join account_scopes
        on leaders.account_sid = account_scopes.account_sid
    group by
        months_of_periods.page_period,
        account_scopes.scope,
        leaders.recipient

),

-- Of the 90 days those beside whole months; those after them are of the last 30.
days as (

    select * from {{ ref('int_daily_recipients') }}
    where
        message_date >= {{ dates.last_90_days }}
        and message_date < {{ dates.end_date }}
        and (
            message_date < {{ dates.first_month }}
            or message_date >= {{ dates.last_30_days }}
        )

),

-- What the first of the months got on these days.
days_of_first as (

    select
        account_scopes.scope,
        days.recipient,
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

days_by_period as (

    unpivot days_of_first
    on last_90_days, last_30_days, last_7_days
    into name page_period value message_count

),

-- What somebody got at least.
known as (

    select
        page_period,
        scope,
        recipient,
        known_count as message_count
    from leaders_by_period
    where known_count > 0
    union all by name
    select * from days_by_period

),

known_once as (

    select
        page_period,
        scope,
        recipient,
        max(message_count) as message_count
    from known
    group by
        page_period,
        scope,
        recipient

),

-- The twentieth of all has no less than the twentieth of these.
fewest_known as (

    select
        page_period,
        scope,
        list_min(max(message_count, 20)) as message_count
    from known_once
    group by
        page_period,
        scope
    having count(*) >= 20

),

-- Who is no leader got at most all cutoffs. Where that may be enough, who has as many as the
-- twentieth has their average in some month with some account; where fewer than twenty are known,
-- one message is enough.
bounds as materialized (

    select
        months_of_periods.page_period,
        account_scopes.scope,
        coalesce(any_value(fewest_known.message_count), 1) as fewest_count,
        coalesce(sum(cutoffs.message_count), 0) as cutoff_count,
        ceil(
            coalesce(any_value(fewest_known.message_count), 1)
            / any_value(account_scopes.account_count * months_of_periods.month_count)
        )::bigint as average_count
    from months_of_periods
    cross join account_scopes
    left join cutoffs
        on
            months_of_periods.month = cutoffs.month
            and account_scopes.account_sid = cutoffs.account_sid
    left join fewest_known
        on
            months_of_periods.page_period = fewest_known.page_period
            and account_scopes.scope = fewest_known.scope
    group by
        months_of_periods.page_period,
        account_scopes.scope

),

-- In the type it is held against, else DuckDB passes over no rows.
averages as (

    select
        months_of_periods.page_period,
        months_of_periods.month,
        account_scopes.account_sid,
        min(bounds.average_count) as message_count
    from bounds
    inner join months_of_periods
        on bounds.page_period = months_of_periods.page_period
    inner join account_scopes
        on bounds.scope = account_scopes.scope
    where bounds.cutoff_count >= bounds.fewest_count
    group by
        months_of_periods.page_period,
        months_of_periods.month,
        account_scopes.account_sid

)

select
    leaders_by_period.page_period,
    leaders_by_period.recipient
from leaders_by_period
inner join bounds
    on
        leaders_by_period.page_period = bounds.page_period
        and leaders_by_period.scope = bounds.scope
        and leaders_by_period.message_count
        + bounds.cutoff_count
        - leaders_by_period.cutoff_count
        >= bounds.fewest_count
union
select
    averages.page_period,
    monthly_recipients.recipient
from {{ ref('monthly_recipients') }} as monthly_recipients
inner join averages
    on
        monthly_recipients.month = averages.month
        and monthly_recipients.account_sid = averages.account_sid
        and monthly_recipients.message_count >= averages.message_count
