-- depends_on: {{ ref('int_changed_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where message_date in (select message_date from {{ ref('int_changed_dates') }}){% endif %}"
) }}

with

-- only the days deleted above: all of them in an empty build file
messages as (

    select * from {{ ref('int_messages_changed') }}
    where is_attempted and (error_code is not null or is_failed)

)

select
    message_date,
    account_sid,
    channel,
    coalesce(error_code, 0) as error_code,
    count(*) as message_count,
    count(*) filter (where is_failed) as failed_count,
    max(currency) as currency,
    sum(message_cost)::decimal(18, 6) as message_cost

from messages
group by all
