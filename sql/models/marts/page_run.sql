with

last_run as (

    select * from {{ ref('int_last_run') }}

),

rejects as (

    select count(*) as reject_count from {{ source('lake', 'rejects') }}

)

select
    last_run.run_id,
    last_run.read_at,
    last_run.utc_date,
    last_run.local_date,
    rejects.reject_count

from last_run
cross join rejects
