{{ config(materialized='table') }}

with

last_run as (

    select * from {{ ref('int_last_run') }}

),

dates as (

    select distinct
        calendar,
        figure_date
    from {{ ref('daily_figures') }}

),

last_dates as (

    select
        'local' as calendar,
        local_date as last_date
    from last_run
    union all
    select
        'gmt' as calendar,
        utc_date as last_date
    from last_run

),

recent_periods as (

    select
        last_dates.calendar,
        lengths.prefix || lengths.days || '_days' as period,
        {{ first_of_last('lengths.days * lengths.periods_ago', 'last_dates.last_date') }}
            as period_start,
        {{ first_of_last('lengths.days * (lengths.periods_ago - 1)', 'last_dates.last_date') }}
            as period_end
    from last_dates
    cross join (
        values
        ('last_', 7, 1), ('last_', 30, 1), ('last_', 90, 1),
        ('previous_', 7, 2), ('previous_', 30, 2), ('previous_', 90, 2)
    ) as lengths (prefix, days, periods_ago)

),

period_dates as (

    select
        calendar,
        'day' as period,
        figure_date as period_start,
        figure_date + 1 as period_end,
        figure_date
    from dates
    union all
    select
        calendar,
        'month' as period,
        date_trunc('month', figure_date)::date as period_start,
        (date_trunc('month', figure_date) + interval 1 month)::date as period_end,
        figure_date
    from dates
    union all
    select
        dates.calendar,
        'all' as period,
        min(dates.figure_date) over (partition by dates.calendar) as period_start,
        last_dates.last_date + 1 as period_end,
        dates.figure_date
    from dates
    inner join last_dates on dates.calendar = last_dates.calendar
    union all
    select
        recent_periods.calendar,
        recent_periods.period,
        recent_periods.period_start,
        recent_periods.period_end,
        dates.figure_date
    from recent_periods
    inner join dates
        on
            recent_periods.calendar = dates.calendar
            and recent_periods.period_start <= dates.figure_date
            and recent_periods.period_end > dates.figure_date

)

select
    *,
    case
        when period = 'month' then strftime(period_start, '%Y-%m')
        when period like 'last_%' or period = 'all' then period
    end as page_period

from period_dates
