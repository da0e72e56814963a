-- All of them by their number, which the files say without being read; account by account those
-- of the days that are computed anew.
with

held as (

    select
        'all' as account_sid,
        count(*) as message_count
    from {{ source('lake', 'messages') }}
    union all
    select
        account_sid,
        count(*) as message_count
    from {{ ref('int_messages_touched') }}
    group by account_sid

),

counted as (

    select
        'all' as account_sid,
        coalesce(sum(message_count), 0) as message_count
    from {{ ref('hourly_messages') }}
    union all
    select
        account_sid,
        sum(message_count) as message_count
    from {{ ref('hourly_messages') }}
    where message_date in (select message_date from {{ ref('int_touched_dates') }})
    group by account_sid

)

select
    coalesce(held.account_sid, counted.account_sid) as account_sid,
    held.message_count,
    counted.message_count as counted

from held
full join counted on held.account_sid = counted.account_sid
where held.message_count is distinct from counted.message_count
