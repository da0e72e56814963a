with

page_completeness_days as (

    select * from {{ ref('page_completeness_days') }}

),

page_periods as (

    select * from {{ ref('page_periods') }}

)

select
    page_periods.page_period,
    page_completeness_days.account_sid,
    page_completeness_days.channel_group,
    page_completeness_days.state,
    count(*) as day_count

from page_completeness_days
inner join page_periods
    on
        page_completeness_days.usage_date >= page_periods.gmt_start_date
        and page_completeness_days.usage_date < page_periods.gmt_end_date
group by all
