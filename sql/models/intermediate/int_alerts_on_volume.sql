with

clock as (

    select
        *,
        (recent_from at time zone '{{ var("timezone") }}')::date as recent_date
    from {{ ref('int_alert_clock') }}

),

thresholds as (

    select * from {{ ref('alerts') }}

),

-- Days before an account was made say nothing of what is usual in it.
first_dates as (

    select
        account_sid,
        min((created_at at time zone '{{ var("timezone") }}')::date) as first_date
    from {{ ref('account_scopes') }}
    group by account_sid

),

days as (

    select
        period_kpis.kpi,
        period_kpis.account_sid,
        period_kpis.period_start as figure_date,
        period_kpis.value
    from {{ ref('period_kpis') }} as period_kpis
    cross join clock
    left join first_dates
        on period_kpis.account_sid = first_dates.account_sid
    where
        period_kpis.period = 'day'
        and coalesce(period_kpis.period_start > first_dates.first_date, true)
        and period_kpis.kpi in ('messages_sent', 'opt_out_count')
        and not starts_with(period_kpis.account_sid, 'all')
        and period_kpis.is_read_whole
        and period_kpis.period_start between clock.recent_date - 28 and clock.local_date - 1

),

recent_days as (

    select days.*
    from days
    cross join clock
    where days.figure_date >= clock.recent_date

),

-- The same weekday of the four weeks before: the middle of them, and how far they lie from it.
weekdays as (

    select
        recent_days.account_sid,
        recent_days.figure_date,
        recent_days.value,
        median(days.value) as usual,
        greatest(
            1.4826 * mad(days.value), sqrt(median(days.value)), 0.15 * median(days.value)
        ) as spread
    from recent_days
    inner join days
        on
            recent_days.account_sid = days.account_sid
            and days.kpi = 'messages_sent'
            and days.figure_date in (
                recent_days.figure_date - 7,
                recent_days.figure_date - 14,
                recent_days.figure_date - 21,
                recent_days.figure_date - 28
            )
    where recent_days.kpi = 'messages_sent'
    group by all
    having count(*) >= 3

),

volumes as (

    select
        thresholds.alert,
        weekdays.account_sid,
        'messages' as subject,
        weekdays.figure_date,
        weekdays.value as observed,
        weekdays.usual as expected,
        case
            when thresholds.alert = 'volume_spike' then weekdays.value / greatest(weekdays.usual, 1)
            else weekdays.usual / greatest(weekdays.value, 1)
        end as badness
    from weekdays
    inner join thresholds
        on
            case
                when thresholds.alert = 'volume_spike'
                    then greatest(weekdays.usual, weekdays.value)
                else weekdays.usual
            end >= thresholds.minimum_sample
            and case thresholds.alert
                when 'silent_day' then weekdays.value = 0
                when 'volume_drop'
                    then
                        weekdays.value > 0
                        and weekdays.value < thresholds.threshold * weekdays.usual
                        and weekdays.usual - weekdays.value > 4 * weekdays.spread
                when 'volume_spike'
                    then
                        weekdays.value > thresholds.threshold * weekdays.usual
                        and weekdays.value - weekdays.usual
                        > greatest(4 * weekdays.spread, thresholds.minimum_sample)
            end

),

-- As many as chance brings seldom, where so many come a day.
usual_opt_outs as (

    select
        recent_days.account_sid,
        recent_days.figure_date,
        recent_days.value,
        avg(days.value) as usual
    from recent_days
    inner join days
        on
            recent_days.account_sid = days.account_sid
            and days.kpi = 'opt_out_count'
            and days.figure_date < recent_days.figure_date
            and days.figure_date >= recent_days.figure_date - 28
    where recent_days.kpi = 'opt_out_count'
    group by all
    having count(*) >= 7

),

opt_outs as (

    select
        thresholds.alert,
        usual_opt_outs.account_sid,
        'opt_outs' as subject,
        usual_opt_outs.figure_date,
        usual_opt_outs.value as observed,
        floor(
            usual_opt_outs.usual
            + thresholds.threshold * sqrt(usual_opt_outs.usual)
            + thresholds.minimum_sample
        ) as expected,
        observed / expected as badness
    from usual_opt_outs
    inner join thresholds
        on thresholds.alert = 'opt_outs'
    where observed > expected

),

unusual_days as (

    from volumes
    union all
    from opt_outs

)

select
    alert,
    account_sid,
    subject,
    observed,
    expected,
    badness,
    figure_date::timestamp at time zone '{{ var("timezone") }}' as since,
    figure_date::varchar as period,
    null::varchar as detail_en,
    null::varchar as detail_es,
    null::varchar as currency

from unusual_days
qualify
    row_number() over (
        partition by alert, account_sid, subject
        order by badness desc, figure_date asc
    ) = 1
