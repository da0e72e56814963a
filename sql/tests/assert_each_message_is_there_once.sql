-- of the days that are computed anew; the others were checked when they were
select
    message_sid,
    count(*) as row_count

from {{ ref('messages') }}
where message_date in (select message_date from {{ ref('int_touched_dates') }})
group by message_sid
having count(*) > 1
