with

daily_completeness as (

    select * from {{ ref('daily_completeness') }}

)

select
    usage_date,
    account_sid,
    channel_group,
    message_count,
    usage_count,
    difference,
    last_extracted_at at time zone 'UTC' as last_extracted_at,
    state

from daily_completeness
