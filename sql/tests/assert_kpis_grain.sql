select
    period_start,
    period,
    account_sid,
    kpi,
    count(*) as row_count

from {{ ref('kpis_judged') }}
group by
    period_start,
    period,
    account_sid,
    kpi
having count(*) > 1
