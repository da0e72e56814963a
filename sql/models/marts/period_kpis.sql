with

kpi_values as (

    select * from {{ ref('int_kpi_values') }}

),

kpis as (

    select * from {{ ref('kpis') }}

),

scopes as (

    select distinct
        scope,
        has_budget
    from {{ ref('account_scopes') }}

),

kpis_with_goal as (

    select
        kpi_values.*,
        case
            -- of several days only what is a goal whatever their number
            when kpi_values.period not in ('day', 'month') and kpis.goal_periods <> 'day month'
                then null
            when
                kpi_values.period in ('day', 'month')
                and not contains(kpis.goal_periods, kpi_values.period)
                then null
            when not kpis.is_budget then kpis.goal
            when scopes.has_budget then {{ var("monthly_budget") or "null" }}
        end::double as goal,
        kpis.comparison,
        coalesce(kpi_values.denominator >= kpis.minimum_sample, true) as is_sample_enough
    from kpi_values
    inner join kpis on kpi_values.kpi = kpis.kpi
    inner join scopes on kpi_values.scope = scopes.scope

)

select
    period_start,
    period_end,
    period,
    page_period,
    scope as account_sid,
    kpi,
    value,
    goal,
    case when goal is not null then comparison end as comparison,
    case
        when goal is null or value is null or not is_sample_enough then null
        when comparison = '>' then value > goal
        when comparison = '>=' then value >= goal
        when comparison = '<' then value < goal
        when comparison = '<=' then value <= goal
        when comparison = '=' then value = goal
    end as is_met,
    numerator,
    denominator,
    is_read_whole,
    is_settled

from kpis_with_goal
