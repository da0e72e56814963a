with

counted as (

    select
        account_sid,
        sum(message_count) as message_count
    from {{ ref('hourly_messages') }}
    group by all

),

held as (

    select
        account_sid,
        count(*) as message_count
    from {{ source('lake', 'messages') }}
    group by all

)

select
    held.account_sid,
    held.message_count,
    counted.message_count as counted

from held
full join counted on held.account_sid = counted.account_sid
where held.message_count is distinct from counted.message_count
