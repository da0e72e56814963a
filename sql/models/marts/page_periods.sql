with

period_dates as (

    select * from {{ ref('int_period_dates') }}
    where page_period is not null

),

periods as (

    select
        page_period,
        period,
        min(period_start) filter (where calendar = 'local') as start_date,
        max(period_end) filter (where calendar = 'local') as end_date,
        min(period_start) filter (where calendar = 'gmt') as gmt_start_date,
        max(period_end) filter (where calendar = 'gmt') as gmt_end_date
    from period_dates
    group by all

)

select
    page_period,
    period,
    row_number() over (
        order by
            case period
                when 'last_7_days' then 1
                when 'last_30_days' then 2
                when 'last_90_days' then 3
                when 'all' then 5
                else 4
            end,
            page_period desc
    )::integer as position,
    coalesce(start_date, gmt_start_date) as start_date,
    coalesce(end_date, gmt_end_date) as end_date,
    coalesce(gmt_start_date, start_date) as gmt_start_date,
    coalesce(gmt_end_date, end_date) as gmt_end_date

from periods
