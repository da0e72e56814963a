{{ config(materialized='table') }}

with

last_run as (

    select
        max(read_at) as read_at,
        max_by(run_id, (read_at, run_id)) as run_id,
        -- a run at midnight belongs to the day that ends then
        max(read_at) - interval 1 microsecond as last_instant
    from {{ source('lake', 'extractions') }}

)

select
    run_id,
    read_at,
    (last_instant at time zone 'UTC')::date as utc_date,
    (last_instant at time zone '{{ var("timezone") }}')::date as local_date

from last_run
