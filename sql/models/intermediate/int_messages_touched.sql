with

messages as (

    {{ messages_of(source('lake', 'touched_messages'), ref('int_touched_dates')) }}

)

select * from messages
where {{ is_touched('message_date', ref('int_touched_dates')) }}
