with

alert_messages as (

    select * from {{ ref('alert_messages') }}

)

select
    alert,
    account_sid,
    subject,
    observed,
    expected,
    since at time zone 'UTC' as since,
    message_{{ var("language") }} as message

from alert_messages
