{{ config(materialized='table') }}

with

period_dates as (

    select * from {{ ref('int_period_dates') }}

),

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

figures as (

    select
        period_dates.calendar,
        period_dates.period,
        period_dates.period_start,
        period_dates.period_end,
        period_dates.page_period,
        account_scopes.scope,
        sum(daily_figures.message_count) as message_count,
        sum(daily_figures.segment_count) as segment_count,
        sum(daily_figures.attempted_count) as attempted_count,
        sum(daily_figures.delivered_count) as delivered_count,
        sum(daily_figures.failed_count) as failed_count,
        sum(daily_figures.blocked_count) as blocked_count,
        sum(daily_figures.opt_out_count) as opt_out_count,
        sum(daily_figures.total_cost) as total_cost,
        sum(daily_figures.message_usage_cost) as message_usage_cost,
        case
            when sum(daily_figures.message_count) > 0 or sum(daily_figures.failure_fee_cost) > 0
                then
                    coalesce(sum(daily_figures.failed_cost), 0)
                    + coalesce(sum(daily_figures.failure_fee_cost), 0)
        end as failure_cost,
        sum(daily_figures.call_cost) as call_cost,
        sum(daily_figures.call_count) as call_count
    from {{ ref('daily_figures') }} as daily_figures
    inner join period_dates
        on
            daily_figures.calendar = period_dates.calendar
            and daily_figures.figure_date = period_dates.figure_date
    inner join account_scopes
        on daily_figures.account_sid = account_scopes.account_sid
    group by all

),

delays as (

    select * from {{ ref('int_period_delays') }}

),

settled as (

    select * from {{ ref('int_settled_periods') }}

),

forecasts as (

    select
        account_scopes.scope,
        forecasts_of_accounts.month,
        case
            when count(forecasts_of_accounts.forecast_cost) > 0
                then sum(
                    coalesce(
                        forecasts_of_accounts.forecast_cost, forecasts_of_accounts.spent_cost
                    )
                )
        end as cost,
        max(forecasts_of_accounts.history_days) as history_days
    from {{ ref('int_forecasts') }} as forecasts_of_accounts
    inner join account_scopes
        on forecasts_of_accounts.account_sid = account_scopes.account_sid
    group by all

),

measures as (

    select
        figures.*,
        coalesce(delays.message_count, 0) as delay_count,
        delays.seconds_to_send_p95 as delay_p95,
        case when forecasts.month is null then figures.total_cost else forecasts.cost end
            as forecast_cost,
        forecasts.history_days,
        settled.messages_are_read,
        settled.messages_are_settled,
        settled.usage_is_read,
        settled.usage_is_settled
    from figures
    left join delays
        on
            figures.period = delays.period
            and figures.period_start = delays.period_start
            and figures.scope = delays.scope
    left join settled
        on
            figures.calendar = settled.calendar
            and figures.period = settled.period
            and figures.period_start = settled.period_start
            and figures.scope = settled.scope
    left join forecasts
        on
            figures.scope = forecasts.scope
            and figures.period_start = forecasts.month
            and figures.period = 'month'

),

-- A KPI is a row of the seed and a line here, among the amounts or among the rates.
kpi_lines as (

    select
        measures.*,
        amounts.*
    from measures
    cross join (
        values
        ('messages_sent', attempted_count::double, attempted_count::double, null::double),
        ('seconds_to_send_p95', delay_p95, null, delay_count),
        ('opt_out_count', opt_out_count, opt_out_count, null),
        ('total_cost', total_cost, total_cost, null),
        ('forecast_cost', forecast_cost, total_cost, history_days),
        ('cost_of_failures', failure_cost, failure_cost, failed_count)
    ) as amounts (kpi, value, numerator, denominator)
    union all
    select
        measures.*,
        rates.kpi,
        rates.numerator / nullif(rates.denominator, 0) as value,
        rates.numerator,
        rates.denominator
    from measures
    cross join (
        values
        ('delivery_rate', delivered_count::double, attempted_count::double),
        ('error_rate', failed_count, attempted_count),
        ('blocked_rate', blocked_count, attempted_count),
        ('cost_per_message', message_usage_cost, message_count),
        ('cost_per_segment', message_usage_cost, segment_count),
        ('cost_per_call', call_cost, call_count)
    ) as rates (kpi, numerator, denominator)

)

select
    kpi_lines.period,
    kpi_lines.period_start,
    kpi_lines.period_end,
    kpi_lines.page_period,
    kpi_lines.scope,
    kpi_lines.kpi,
    kpi_lines.value,
    kpi_lines.numerator,
    kpi_lines.denominator,
    (kpi_lines.messages_are_read or not contains(kpis.sources, 'messages'))
    and (kpi_lines.usage_is_read or not contains(kpis.sources, 'usage')) as is_read_whole,
    (kpi_lines.messages_are_settled or not contains(kpis.sources, 'messages'))
    and (kpi_lines.usage_is_settled or not contains(kpis.sources, 'usage')) as is_settled

from kpi_lines
inner join {{ ref('kpis') }} as kpis
    on
        kpi_lines.kpi = kpis.kpi
        and kpi_lines.calendar = kpis.calendar
        and contains(
            kpis.periods, case when kpi_lines.period = 'month' then 'month' else 'day' end
        )
