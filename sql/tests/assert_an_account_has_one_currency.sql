{{ config(severity='warn') }}

select
    account_sid,
    count(distinct currency) as currency_count

from {{ source('lake', 'messages') }}
group by account_sid
having count(distinct currency) > 1
