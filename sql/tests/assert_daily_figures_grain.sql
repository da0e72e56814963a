select
    calendar,
    figure_date,
    account_sid,
    count(*) as row_count

from {{ ref('daily_figures') }}
group by
    calendar,
    figure_date,
    account_sid
having count(*) > 1
