with

clock as (

    select
        *,
        (recent_from at time zone 'UTC')::date as recent_date
    from {{ ref('int_alert_clock') }}

),

thresholds as (

    select * from {{ ref('alerts') }}

),

period_kpis as (

    select * from {{ ref('period_kpis') }}

),

scopes as (

    select
        scope,
        max(currency) as currency,
        min((created_at at time zone 'UTC')::date) as first_date
    from {{ ref('account_scopes') }}
    group by scope

),

budgets as (

    select
        thresholds.alert,
        period_kpis.account_sid,
        strftime(period_kpis.period_start, '%Y-%m') as subject,
        period_kpis.value as observed,
        period_kpis.goal as expected,
        period_kpis.value / period_kpis.goal as badness,
        period_kpis.period_start::timestamp at time zone 'UTC' as since,
        strftime(period_kpis.period_start, '%Y-%m') as period
    from period_kpis
    cross join clock
    inner join thresholds
        on
            case period_kpis.kpi
                when 'total_cost' then 'budget_exceeded'
                when 'forecast_cost' then 'budget_forecast'
            end = thresholds.alert
    where
        period_kpis.period = 'month'
        and period_kpis.period_end > clock.recent_date
        and period_kpis.value > period_kpis.goal * thresholds.threshold
        and coalesce(period_kpis.denominator >= thresholds.minimum_sample, true)

),

-- What has come true is no forecast any more.
budgets_of_months as (

    select * from budgets
    qualify
        alert = 'budget_exceeded'
        or not bool_or(alert = 'budget_exceeded') over (partition by account_sid, subject)

),

-- Fees of a whole month fall on one day of it.
days as (

    select
        daily_figures.account_sid,
        daily_figures.figure_date,
        (daily_figures.total_cost - daily_figures.monthly_fee_cost)::double as cost
    from {{ ref('daily_figures') }} as daily_figures
    cross join clock
    left join scopes
        on daily_figures.account_sid = scopes.scope
    where
        daily_figures.calendar = 'gmt'
        and daily_figures.total_cost is not null
        -- days before an account was made say nothing of what is usual in it
        and coalesce(daily_figures.figure_date > scopes.first_date, true)
        and daily_figures.figure_date between clock.recent_date - 28 and clock.utc_date - 1

),

weekdays as (

    select
        days.account_sid,
        days.figure_date,
        days.cost,
        median(earlier.cost) as usual,
        greatest(1.4826 * mad(earlier.cost), 0.2 * median(earlier.cost)) as spread
    from days
    cross join clock
    inner join days as earlier
        on
            days.account_sid = earlier.account_sid
            and earlier.figure_date in (
                days.figure_date - 7,
                days.figure_date - 14,
                days.figure_date - 21,
                days.figure_date - 28
            )
    where days.figure_date >= clock.recent_date
    group by all
    having count(*) >= 3

),

dear_days as (

    select
        thresholds.alert,
        weekdays.account_sid,
        weekdays.figure_date,
        weekdays.cost,
        weekdays.usual,
        weekdays.cost / greatest(weekdays.usual, thresholds.minimum_sample) as badness
    from weekdays
    inner join thresholds
        on thresholds.alert = 'spend_spike'
    where
        weekdays.cost > thresholds.threshold * weekdays.usual
        and weekdays.cost - weekdays.usual
        > greatest(4 * weekdays.spread, thresholds.minimum_sample)
    qualify
        row_number() over (
            partition by weekdays.account_sid
            order by badness desc, weekdays.figure_date asc
        ) = 1

),

dearest_categories as (

    select
        dear_days.account_sid,
        max_by(coalesce(usage_categories.title_en, daily_costs.cost_category), daily_costs.cost)
            as title_en,
        max_by(coalesce(usage_categories.title_es, daily_costs.cost_category), daily_costs.cost)
            as title_es
    from dear_days
    inner join {{ ref('daily_costs') }} as daily_costs
        on
            dear_days.account_sid = daily_costs.account_sid
            and dear_days.figure_date = daily_costs.usage_date
    left join {{ ref('usage_categories') }} as usage_categories
        on daily_costs.cost_category = usage_categories.category
    group by dear_days.account_sid

),

triggers_fired as (

    select usage_triggers.*
    from {{ source('lake', 'usage_triggers') }} as usage_triggers
    cross join clock
    where usage_triggers.fired_at > clock.recent_from

),

months as (

    select
        monthly_cost_parts.account_sid,
        monthly_cost_parts.month,
        -sum(monthly_cost_parts.cost) filter (where monthly_cost_parts.cost_part = 'other')::double
            as cost_beyond_total,
        sum(monthly_cost_parts.cost)::double as total_cost
    from {{ ref('monthly_cost_parts') }} as monthly_cost_parts
    cross join clock
    -- Twilio corrects usage for some days after the month
    where monthly_cost_parts.month + interval 1 month > clock.utc_date - 5
    group by all

),

spending as (

    select
        *,
        null::varchar as detail_en,
        null::varchar as detail_es
    from budgets_of_months
    union all by name
    select
        dear_days.alert,
        dear_days.account_sid,
        'total_cost' as subject,
        dear_days.cost as observed,
        dear_days.usual as expected,
        dear_days.badness,
        dear_days.figure_date::timestamp at time zone 'UTC' as since,
        dear_days.figure_date::varchar as period,
        dearest_categories.title_en as detail_en,
        dearest_categories.title_es as detail_es
    from dear_days
    left join dearest_categories
        on dear_days.account_sid = dearest_categories.account_sid
    union all by name
    select
        'usage_trigger' as alert,
        triggers_fired.account_sid,
        triggers_fired.usage_trigger_sid as subject,
        -- it fired when it had come so far
        triggers_fired.trigger_value::double as observed,
        triggers_fired.trigger_value::double as expected,
        1.0 as badness,
        triggers_fired.fired_at as since,
        strftime(
            triggers_fired.fired_at at time zone '{{ var("timezone") }}', '%Y-%m-%d %H:%M'
        ) as period,
        coalesce(usage_categories.title_en, triggers_fired.usage_category) as detail_en,
        coalesce(usage_categories.title_es, triggers_fired.usage_category) as detail_es
    from triggers_fired
    left join {{ ref('usage_categories') }} as usage_categories
        on triggers_fired.usage_category = usage_categories.category
    union all by name
    select
        thresholds.alert,
        months.account_sid,
        strftime(months.month, '%Y-%m') as subject,
        months.cost_beyond_total as observed,
        0.0 as expected,
        months.cost_beyond_total / thresholds.minimum_sample as badness,
        months.month::timestamp at time zone 'UTC' as since,
        strftime(months.month, '%Y-%m') as period,
        null::varchar as detail_en,
        null::varchar as detail_es
    from months
    inner join thresholds
        on thresholds.alert = 'negative_other'
    where
        months.cost_beyond_total
        > greatest(thresholds.minimum_sample, thresholds.threshold * months.total_cost)

)

select
    spending.alert,
    spending.account_sid,
    spending.subject,
    spending.observed,
    spending.expected,
    spending.badness,
    spending.since,
    spending.period,
    spending.detail_en,
    spending.detail_es,
    scopes.currency

from spending
left join scopes
    on spending.account_sid = scopes.scope
