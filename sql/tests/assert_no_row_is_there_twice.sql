-- The grain of each relation, in one test: what a test costs is its start. Of what is made by days,
-- the days that are computed anew. The addresses of int_daily_recipients are left to
-- what is made from them.
{% set of_touched_days %}
where message_date in (select message_date from {{ ref('int_touched_dates') }})
{% endset %}

select
    'account_scopes' as relation,
    count(*) as row_count
from {{ ref('account_scopes') }}
group by
    scope,
    account_sid
having count(*) > 1

union all

select
    'cost_reconciliation' as relation,
    count(*) as row_count
from {{ ref('cost_reconciliation') }}
group by
    month,
    account_sid
having count(*) > 1

union all

select
    'daily_completeness' as relation,
    count(*) as row_count
from {{ ref('daily_completeness') }}
group by
    usage_date,
    account_sid,
    channel_group
having count(*) > 1

union all

select
    'daily_costs' as relation,
    count(*) as row_count
from {{ ref('daily_costs') }}
group by
    usage_date,
    account_sid,
    cost_category
having count(*) > 1

union all

select
    'daily_errors' as relation,
    count(*) as row_count
from {{ ref('daily_errors') }}
{{ of_touched_days }}
group by
    message_date,
    account_sid,
    channel,
    error_code
having count(*) > 1

union all

select
    'daily_figures' as relation,
    count(*) as row_count
from {{ ref('daily_figures') }}
group by
    calendar,
    figure_date,
    account_sid
having count(*) > 1

union all

select
    'daily_reach' as relation,
    count(*) as row_count
from {{ ref('daily_reach') }}
{{ of_touched_days }}
group by
    message_date,
    account_sid,
    channel,
    direction,
    country,
    own_address,
    messaging_service_sid
having count(*) > 1

union all

select
    'daily_seconds_to_send' as relation,
    count(*) as row_count
from {{ ref('daily_seconds_to_send') }}
{{ of_touched_days }}
group by
    message_date,
    account_sid,
    seconds_to_send
having count(*) > 1

union all

select
    'daily_volume' as relation,
    count(*) as row_count
from {{ ref('daily_volume') }}
group by
    message_date,
    account_sid,
    channel,
    direction
having count(*) > 1

union all

select
    'errors_by_code' as relation,
    count(*) as row_count
from {{ ref('errors_by_code') }}
group by
    message_date,
    account_sid,
    channel,
    error_code
having count(*) > 1

union all

select
    'hourly_delivery_rate' as relation,
    count(*) as row_count
from {{ ref('hourly_delivery_rate') }}
group by
    message_hour,
    utc_offset,
    account_sid,
    channel
having count(*) > 1

union all

select
    'hourly_messages' as relation,
    count(*) as row_count
from {{ ref('hourly_messages') }}
{{ of_touched_days }}
group by
    message_hour,
    utc_offset,
    utc_date,
    account_sid,
    channel,
    direction
having count(*) > 1

union all

select
    'monthly_cost' as relation,
    count(*) as row_count
from {{ ref('monthly_cost') }}
group by
    month,
    account_sid,
    cost_category
having count(*) > 1

union all

select
    'monthly_cost_parts' as relation,
    count(*) as row_count
from {{ ref('monthly_cost_parts') }}
group by
    month,
    account_sid,
    cost_part,
    cost_category
having count(*) > 1

union all

select
    'page_categories' as relation,
    count(*) as row_count
from {{ ref('page_categories') }}
group by
    page_period,
    account_sid,
    cost_category
having count(*) > 1

union all

select
    'page_completeness' as relation,
    count(*) as row_count
from {{ ref('page_completeness') }}
group by
    page_period,
    account_sid,
    channel_group,
    state
having count(*) > 1

union all

select
    'page_completeness_days' as relation,
    count(*) as row_count
from {{ ref('page_completeness_days') }}
group by
    usage_date,
    account_sid,
    channel_group
having count(*) > 1

union all

select
    'page_days' as relation,
    count(*) as row_count
from {{ ref('page_days') }}
group by
    calendar,
    figure_date,
    account_sid
having count(*) > 1

union all

select
    'page_errors' as relation,
    count(*) as row_count
from {{ ref('page_errors') }}
group by
    page_period,
    account_sid,
    error_code
having count(*) > 1

union all

select
    'page_freshness' as relation,
    count(*) as row_count
from {{ ref('page_freshness') }}
group by
    scope,
    account_sid
having count(*) > 1

union all

select
    'page_groups' as relation,
    count(*) as row_count
from {{ ref('page_groups') }}
group by
    page_period,
    account_sid,
    dimension,
    member
having count(*) > 1

union all

select
    'page_kpis' as relation,
    count(*) as row_count
from {{ ref('page_kpis') }}
group by
    page_period,
    account_sid,
    kpi
having count(*) > 1

union all

select
    'page_periods' as relation,
    count(*) as row_count
from {{ ref('page_periods') }}
group by
    page_period
having count(*) > 1

union all

select
    'page_recipients' as relation,
    count(*) as row_count
from {{ ref('page_recipients') }}
group by
    page_period,
    account_sid,
    recipient_rank
having count(*) > 1

union all

select
    'page_scopes' as relation,
    count(*) as row_count
from {{ ref('page_scopes') }}
group by
    account_sid
having count(*) > 1

union all

select
    'period_kpis' as relation,
    count(*) as row_count
from {{ ref('period_kpis') }}
group by
    period_start,
    period,
    account_sid,
    kpi
having count(*) > 1

union all

select
    'reads' as relation,
    count(*) as row_count
from {{ ref('reads') }}
group by
    dataset,
    account_sid,
    read_from
having count(*) > 1

union all

select
    'top_recipients' as relation,
    count(*) as row_count
from {{ ref('top_recipients') }}
group by
    month,
    account_sid,
    recipient_rank
having count(*) > 1
