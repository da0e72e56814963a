with

extractions as (

    select * from {{ source('lake', 'extractions') }}

),

windows as (

    select
        dataset,
        account_sid,
        window_start,
        window_end,
        max(read_at) as read_at
    from extractions
    where outcome in ('ok', 'empty') and window_start < window_end
    group by all

),

boundaries as (

    select
        dataset,
        account_sid,
        window_start as boundary_at
    from windows
    union
    select
        dataset,
        account_sid,
        window_end as boundary_at
    from windows

),

stretches as (

    select
        dataset,
        account_sid,
        boundary_at as read_from,
        lead(boundary_at) over (
            partition by dataset, account_sid
            order by boundary_at
        ) as read_until
    from boundaries

),

stretches_read as (

    select
        stretches.dataset,
        stretches.account_sid,
        stretches.read_from,
        stretches.read_until,
        max(windows.read_at) as last_read_at
    from stretches
    inner join windows
        on
            stretches.dataset = windows.dataset
            and stretches.account_sid = windows.account_sid
            and stretches.read_from >= windows.window_start
            and stretches.read_until <= windows.window_end
    group by all

),

stretches_with_breaks as (

    select
        *,
        coalesce(
            read_from > lag(read_until) over (
                partition by dataset, account_sid
                order by read_from
            ),
            true
        )::int as begins_anew
    from stretches_read

),

stretches_numbered as (

    select
        *,
        sum(begins_anew) over (
            partition by dataset, account_sid
            order by read_from
            rows between unbounded preceding and current row
        ) as unbroken_number
    from stretches_with_breaks

)

select
    dataset,
    account_sid,
    read_from,
    read_until,
    last_read_at,
    min(read_from) over unbroken as unbroken_from,
    max(read_until) over unbroken as unbroken_until,
    -- The newest messages may be missing from Twilio's list for a while.
    max(least(read_until, last_read_at - interval 2 hour)) over unbroken as complete_until

from stretches_numbered
window unbroken as (partition by dataset, account_sid, unbroken_number)
