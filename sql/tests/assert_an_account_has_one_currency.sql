{{ config(severity='warn') }}

-- of each hour the greatest is counted; of the days that are computed anew all messages are looked
-- at
with

currencies as (

    select
        account_sid,
        currency
    from {{ ref('hourly_messages') }}
    union
    select
        account_sid,
        currency
    from {{ source('lake', 'touched_messages') }}

)

select
    account_sid,
    count(distinct currency) as currency_count

from currencies
group by account_sid
having count(distinct currency) > 1
