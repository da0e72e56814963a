with

last_run as (

    select * from {{ ref('int_last_run') }}

),

runs as (

    select distinct read_at from {{ source('lake', 'extractions') }}

),

last_two as (

    select
        max(runs.read_at) as run_at,
        max_by(runs.read_at, runs.read_at, 2)[2] as previous_run_at,
        min(runs.read_at) as first_run_at
    from runs

)

select
    last_two.run_at,
    last_two.previous_run_at,
    last_two.first_run_at,
    last_run.utc_date,
    last_run.local_date,
    -- What the run before could have told already; a message takes hours to come to its end.
    least(
        last_two.run_at - interval 30 hours,
        coalesce(last_two.previous_run_at - interval 3 hours, last_two.run_at)
    ) as recent_from,
    last_two.run_at - interval 3 hours as ended_before

from last_two
cross join last_run
