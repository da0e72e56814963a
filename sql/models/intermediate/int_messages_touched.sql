with

messages as (

    {{ messages_of(source('lake', 'touched_messages')) }}

)

select * from messages
where message_date in (select message_date from {{ ref('int_touched_dates') }})
