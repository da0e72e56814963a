{{ config(materialized='table') }}

with

changed_messages as (

    -- the same moment and time zone as in marts.messages
    select
        (coalesce(sent_at, created_at) at time zone '{{ var("timezone") }}')::date
            as message_date
    from {{ source('lake', 'changed_messages') }}

),

windows_read as (

    select distinct
        (window_start at time zone '{{ var("timezone") }}')::date as first_date,
        ((window_end - interval 1 microsecond) at time zone '{{ var("timezone") }}')::date
            as last_date
    from {{ source('lake', 'changed_extractions') }}
    where dataset in ('messages', 'unsent_messages')

),

dates_read as (

    select unnest(generate_series(first_date, last_date, interval 1 day))::date as message_date
    from windows_read

)

select message_date from changed_messages
union
select message_date from dates_read
