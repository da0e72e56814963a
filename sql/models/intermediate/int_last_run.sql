with

-- A run at midnight belongs to the day that ends then.
last_run as (

    select max(read_at) - interval 1 microsecond as last_instant
    from {{ source('lake', 'extractions') }}

)

select
    (last_instant at time zone 'UTC')::date as utc_date,
    (last_instant at time zone '{{ var("timezone") }}')::date as local_date

from last_run
