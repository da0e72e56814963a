{{ config(materialized='table') }}

with

last_run as (

    select
        utc_date as today,
        date_trunc('month', utc_date)::date as month,
        last_day(utc_date) as last_date
    from {{ ref('int_last_run') }}

),

daily_costs as (

    select
        daily_figures.figure_date as usage_date,
        daily_figures.account_sid,
        daily_figures.total_cost,
        daily_figures.monthly_fee_cost,
        daily_figures.total_cost - daily_figures.monthly_fee_cost as running_cost
    from {{ ref('daily_figures') }} as daily_figures
    where daily_figures.calendar = 'gmt' and daily_figures.total_cost is not null

),

unbroken_reads as (

    select distinct
        account_sid,
        unbroken_from at time zone 'UTC' as unbroken_from,
        unbroken_until at time zone 'UTC' as unbroken_until
    from {{ ref('reads') }}
    where dataset = 'usage_records'

),

-- Four of each weekday.
history as (

    select
        daily_costs.usage_date,
        daily_costs.account_sid,
        daily_costs.running_cost,
        isodow(daily_costs.usage_date) as weekday
    from daily_costs
    cross join last_run
    inner join unbroken_reads
        on
            daily_costs.account_sid = unbroken_reads.account_sid
            and daily_costs.usage_date >= unbroken_reads.unbroken_from
            and daily_costs.usage_date + 1 <= unbroken_reads.unbroken_until
    where daily_costs.usage_date between last_run.today - 28 and last_run.today - 1

),

history_of_accounts as (

    select
        account_sid,
        avg(running_cost) as running_cost,
        count(*) as history_days
    from history
    group by account_sid

),

history_of_weekdays as (

    select
        account_sid,
        weekday,
        avg(running_cost) as running_cost
    from history
    group by all

),

days_left as (

    select unnest(generate_series(today, last_date, interval 1 day))::date as usage_date
    from last_run

),

-- What the month before was charged once, on the same day of the month or its nearest.
fees_ahead as (

    select
        daily_costs.account_sid,
        least(
            last_run.month + (day(daily_costs.usage_date)::integer - 1), last_run.last_date
        ) as usage_date,
        sum(daily_costs.monthly_fee_cost) as monthly_fee_cost
    from daily_costs
    cross join last_run
    where date_trunc('month', daily_costs.usage_date) = last_run.month - interval 1 month
    group by all

),

-- What today has cost already may be more than was to be expected of it.
costs_ahead as (

    select
        history_of_accounts.account_sid,
        days_left.usage_date,
        greatest(
            coalesce(history_of_weekdays.running_cost, history_of_accounts.running_cost)
            ::decimal(18, 6),
            coalesce(daily_costs.running_cost, 0)
        )
        + greatest(
            coalesce(fees_ahead.monthly_fee_cost, 0),
            coalesce(daily_costs.monthly_fee_cost, 0)
        ) as cost
    from history_of_accounts
    cross join days_left
    left join history_of_weekdays
        on
            history_of_accounts.account_sid = history_of_weekdays.account_sid
            and isodow(days_left.usage_date) = history_of_weekdays.weekday
    left join fees_ahead
        on
            history_of_accounts.account_sid = fees_ahead.account_sid
            and days_left.usage_date = fees_ahead.usage_date
    left join daily_costs
        on
            history_of_accounts.account_sid = daily_costs.account_sid
            and days_left.usage_date = daily_costs.usage_date

),

ahead as (

    select
        account_sid,
        sum(cost) as cost
    from costs_ahead
    group by account_sid

),

spent as (

    select
        daily_costs.account_sid,
        sum(daily_costs.total_cost) as cost,
        sum(daily_costs.total_cost) filter (where daily_costs.usage_date < last_run.today)
            as cost_before_today
    from daily_costs
    cross join last_run
    where daily_costs.usage_date >= last_run.month
    group by daily_costs.account_sid

),

accounts as (

    select distinct account_sid from daily_costs

)

select
    last_run.month,
    accounts.account_sid,
    (coalesce(spent.cost_before_today, 0) + ahead.cost)::decimal(18, 6) as forecast_cost,
    spent.cost::decimal(18, 6) as spent_cost,
    coalesce(history_of_accounts.history_days, 0) as history_days

from accounts
cross join last_run
left join ahead on accounts.account_sid = ahead.account_sid
left join spent on accounts.account_sid = spent.account_sid
left join history_of_accounts on accounts.account_sid = history_of_accounts.account_sid
