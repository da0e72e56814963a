select * from {{ ref('messages') }}
where message_date in (select message_date from {{ ref('int_touched_dates') }})
