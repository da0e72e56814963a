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

    select
        *,
        (epoch_us(sent_at) - epoch_us(created_at)) / 1e6 as seconds_to_send
    from {{ ref('int_messages_changed') }}
    where is_attempted and sent_at is not null

),

-- Once sent, a message no longer says that it was to wait.
scheduled_messages as (

    select message_sid from {{ source('lake', 'message_changes') }}
    where field = 'status' and old_value = 'scheduled'

)

select
    message_date,
    account_sid,
    seconds_to_send,
    count(*) as message_count

from messages
where message_sid not in (select message_sid from scheduled_messages)
group by all
