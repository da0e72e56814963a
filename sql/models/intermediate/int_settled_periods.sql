{{ config(materialized='table') }}

with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

period_dates as (

    select * from {{ ref('int_period_dates') }}

),

reads as (

    select * from {{ ref('reads') }}

),

periods as (

    select distinct
        calendar,
        period,
        period_start,
        period_end
    from period_dates

),

accounts as (

    select distinct account_sid from account_scopes

),

account_periods as (

    select
        periods.*,
        accounts.account_sid,
        case
            when periods.calendar = 'gmt'
                then periods.period_start::timestamp at time zone 'UTC'
            else periods.period_start::timestamp at time zone '{{ var("timezone") }}'
        end as starts_at,
        case
            when periods.calendar = 'gmt'
                then periods.period_end::timestamp at time zone 'UTC'
            else periods.period_end::timestamp at time zone '{{ var("timezone") }}'
        end as ends_at
    from periods
    cross join accounts

),

unsettled as (

    select
        period_dates.calendar,
        period_dates.period,
        period_dates.period_start,
        daily_figures.account_sid,
        sum(daily_figures.unsettled_count) as unsettled_count
    from period_dates
    inner join {{ ref('daily_figures') }} as daily_figures
        on
            period_dates.calendar = daily_figures.calendar
            and period_dates.figure_date = daily_figures.figure_date
    group by all

),

unbroken_reads as (

    select distinct
        account_sid,
        unbroken_from,
        unbroken_until,
        complete_until
    from reads
    where dataset = 'messages'

),

periods_covered as (

    select
        account_periods.calendar,
        account_periods.period,
        account_periods.period_start,
        account_periods.account_sid,
        bool_or(account_periods.ends_at <= unbroken_reads.complete_until) as is_complete
    from account_periods
    inner join unbroken_reads
        on
            account_periods.account_sid = unbroken_reads.account_sid
            and account_periods.starts_at >= unbroken_reads.unbroken_from
            and account_periods.ends_at <= unbroken_reads.unbroken_until
    group by
        account_periods.calendar,
        account_periods.period,
        account_periods.period_start,
        account_periods.account_sid

),

periods_with_usage as (

    select
        account_periods.calendar,
        account_periods.period,
        account_periods.period_start,
        account_periods.account_sid,
        min(reads.last_read_at) as last_read_at
    from account_periods
    inner join reads
        on
            account_periods.account_sid = reads.account_sid
            and account_periods.starts_at < reads.read_until
            and account_periods.ends_at > reads.read_from
    where
        account_periods.calendar = 'gmt'
        and reads.dataset = 'usage_records'
    group by
        account_periods.calendar,
        account_periods.period,
        account_periods.period_start,
        account_periods.account_sid,
        account_periods.starts_at,
        account_periods.ends_at
    having
        min(reads.unbroken_from) <= account_periods.starts_at
        and max(reads.unbroken_until) >= account_periods.ends_at
        and count(distinct reads.unbroken_from) = 1

),

settled_periods as (

    select
        account_periods.calendar,
        account_periods.period,
        account_periods.period_start,
        account_periods.account_sid,
        account_periods.ends_at,
        periods_covered.account_sid is not null as messages_are_read,
        coalesce(periods_covered.is_complete, false)
        and coalesce(unsettled.unsettled_count, 0) = 0 as messages_are_settled,
        periods_with_usage.account_sid is not null as usage_is_read,
        coalesce(
            periods_with_usage.last_read_at >= account_periods.ends_at + interval 3 day, false
        ) as usage_is_settled
    from account_periods
    left join unsettled
        on
            account_periods.calendar = unsettled.calendar
            and account_periods.period = unsettled.period
            and account_periods.period_start = unsettled.period_start
            and account_periods.account_sid = unsettled.account_sid
    left join periods_covered
        on
            account_periods.calendar = periods_covered.calendar
            and account_periods.period = periods_covered.period
            and account_periods.period_start = periods_covered.period_start
            and account_periods.account_sid = periods_covered.account_sid
    left join periods_with_usage
        on
            account_periods.calendar = periods_with_usage.calendar
            and account_periods.period = periods_with_usage.period
            and account_periods.period_start = periods_with_usage.period_start
            and account_periods.account_sid = periods_with_usage.account_sid

),

-- Before it was created an account had nothing that could be missing.
scoped_periods as (

    select
        settled_periods.*,
        account_scopes.scope,
        account_scopes.is_all
        and coalesce(account_scopes.created_at >= settled_periods.ends_at, false)
            as is_before_account
    from settled_periods
    inner join account_scopes
        on settled_periods.account_sid = account_scopes.account_sid

)

select
    calendar,
    period,
    period_start,
    scope,
    bool_and(messages_are_read or is_before_account) as messages_are_read,
    bool_and(messages_are_settled or is_before_account) as messages_are_settled,
    bool_and(usage_is_read or is_before_account) as usage_is_read,
    bool_and(usage_is_settled or is_before_account) as usage_is_settled

from scoped_periods
group by all
