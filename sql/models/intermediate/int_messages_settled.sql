with

messages as (

    select
        *,
        case when sent_at is null then 'unsent_messages' else 'messages' end as dataset
    from {{ ref('messages') }}

),

reads as (

    select * from {{ ref('reads') }}

),

messages_with_age as (

    select
        messages.*,
        case
            when messages.message_at < reads.read_until
                then reads.last_read_at - messages.message_at
        end as age
    from messages
    asof left join reads
        on
            messages.dataset = reads.dataset
            and messages.account_sid = reads.account_sid
            and messages.message_at >= reads.read_from

)

select
    *,
    coalesce(
        (age >= interval 7 day and status <> 'scheduled')
        or (
            (is_final or (status = 'sent' and age >= interval 72 hour))
            and (
                message_cost is not null
                or (
                    status in ('failed', 'undelivered', 'canceled')
                    and age >= interval 24 hour
                )
            )
            and age is not null
        ),
        false
    ) as is_settled

from messages_with_age
