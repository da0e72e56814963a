with

messages as (

    select
        *,
        case when sent_at is null then 'unsent_messages' else 'messages' end as dataset,
        (message_at at time zone 'UTC')::date as utc_date
    from {{ ref('int_messages_touched') }}

),

-- By day, so that a message meets the few stretches of its day: a join on equal columns.
reads_by_day as (

    select
        dataset,
        account_sid,
        read_from,
        read_until,
        last_read_at,
        unnest(
            generate_series(
                (read_from at time zone 'UTC')::date,
                ((read_until - interval 1 microsecond) at time zone 'UTC')::date,
                interval 1 day
            )
        )::date as utc_date
    from {{ ref('reads') }}

),

messages_with_age as (

    select
        messages.* exclude (utc_date),
        reads_by_day.last_read_at - messages.message_at as age
    from messages
    left join reads_by_day
        on
            messages.dataset = reads_by_day.dataset
            and messages.account_sid = reads_by_day.account_sid
            and messages.utc_date = reads_by_day.utc_date
            and messages.message_at >= reads_by_day.read_from
            and messages.message_at < reads_by_day.read_until

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
