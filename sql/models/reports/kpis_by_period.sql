with

period_kpis as (

    select * from {{ ref('period_kpis') }}

)

select
    period_start,
    period,
    account_sid,
    kpi,
    value,
    goal,
    comparison,
    is_met,
    numerator,
    denominator,
    is_settled

from period_kpis
where period in ('day', 'month')
