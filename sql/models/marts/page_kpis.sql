with

period_kpis as (

    select
        *,
        case
            when period = 'month' then (period_start - interval 1 month)::date
            else period_start - (period_end - period_start)::integer
        end as previous_start
    from {{ ref('period_kpis') }}
    where period <> 'day'

)

select
    chosen.page_period,
    chosen.account_sid,
    chosen.kpi,
    chosen.value,
    chosen.goal,
    chosen.comparison,
    chosen.is_met,
    chosen.numerator,
    chosen.denominator,
    chosen.is_settled,
    previous.value as previous_value,
    chosen.value / nullif(previous.value, 0) - 1 as change

from period_kpis as chosen
left join period_kpis as previous
    on
        chosen.previous_start = previous.period_start
        and replace(chosen.period, 'last_', 'previous_') = previous.period
        and chosen.account_sid = previous.account_sid
        and chosen.kpi = previous.kpi
        and chosen.period <> 'all'
        -- a comparison with half a period misleads
        and previous.is_read_whole
where chosen.page_period is not null
