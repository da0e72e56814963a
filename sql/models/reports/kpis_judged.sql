with

period_kpis as (

    select * from {{ ref('period_kpis') }}
    where period in ('day', 'month')

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
        period_kpis.*,
        case
            when not contains(kpis.goal_periods, period_kpis.period) then null
            when not kpis.is_budget then kpis.goal
            when scopes.has_budget then {{ var("monthly_budget") or "null" }}
        end::double as goal,
        kpis.comparison,
        coalesce(period_kpis.denominator >= kpis.minimum_sample, true) as is_sample_enough
    from period_kpis
    inner join kpis on period_kpis.kpi = kpis.kpi
    inner join scopes on period_kpis.account_sid = scopes.scope

)

select
    period_start,
    period,
    account_sid,
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
    is_settled

from kpis_with_goal
