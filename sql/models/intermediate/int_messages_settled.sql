with

messages as (

    select
        *,
        case when sent_at is null then 'unsent_messages' else 'messages' end as dataset,
        {{ utc_time('message_at') }}::date as utc_date
    from {{ ref('int_messages_touched') }}

),

-- By day, so that a message meets the few stretches of its day: a join on equal columns. And the
-- moments its own is compared with: to subtract and compare intervals takes a message longer than
-- all the rest of its way here.
reads_by_day as (

    select
        dataset,
        account_sid,
        read_from,
        read_until,
        last_read_at,
        last_read_at - interval 24 hour as a_day_before,
        last_read_at - interval 72 hour as three_days_before,
        last_read_at - interval 7 day as a_week_before,
        unnest(
            generate_series(
                (read_from at time zone 'UTC')::date,
                ((read_until - interval 1 microsecond) at time zone 'UTC')::date,
                interval 1 day
            )
        )::date as utc_date
    from {{ ref('reads') }}

),

messages_read as (

    select
        messages.* exclude (utc_date),
        reads_by_day.last_read_at,
        reads_by_day.a_day_before,
        reads_by_day.three_days_before,
        reads_by_day.a_week_before
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
    * exclude (a_day_before, three_days_before, a_week_before),
    coalesce(
        (message_at <= a_week_before and status <> 'scheduled')
        or (
            (is_final or (status = 'sent' and message_at <= three_days_before))
            and (
                message_cost is not null
                or (
                    status in ('failed', 'undelivered', 'canceled')
                    and message_at <= a_day_before
                )
            )
            and last_read_at is not null
        ),
        false
    ) as is_settled

from messages_read
