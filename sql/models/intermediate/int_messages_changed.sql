with

messages as (

    {{ messages_of(source('lake', 'changed_messages'), ref('int_changed_dates')) }}

)

select * from messages
where {{ is_touched('message_date', ref('int_changed_dates')) }}
