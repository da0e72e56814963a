with

hourly_messages as (

    select
        message_hour,
        utc_offset,
        hour_started_at,
        account_sid,
        channel,
        sum(attempted_count)::bigint as attempted_count,
        sum(delivered_count)::bigint as delivered_count,
        sum(failed_count)::bigint as failed_count,
        sum(unsettled_count)::bigint as unsettled_count
    from {{ ref('hourly_messages') }}
    where direction = 'outbound'
    group by all

),

unbroken_reads as (

    select distinct
        account_sid,
        unbroken_from,
        complete_until
    from {{ ref('reads') }}
    where dataset = 'messages'

),

hours_covered as (

    select distinct
        hourly_messages.hour_started_at,
        hourly_messages.account_sid
    from hourly_messages
    inner join unbroken_reads
        on
            hourly_messages.account_sid = unbroken_reads.account_sid
            and unbroken_reads.unbroken_from <= hourly_messages.hour_started_at
            and unbroken_reads.complete_until
            >= hourly_messages.hour_started_at + interval 1 hour

)

select
    hourly_messages.message_hour,
    hourly_messages.utc_offset,
    hourly_messages.account_sid,
    hourly_messages.channel,
    hourly_messages.attempted_count,
    hourly_messages.delivered_count,
    hourly_messages.failed_count,
    hourly_messages.attempted_count
    - hourly_messages.delivered_count
    - hourly_messages.failed_count as unconfirmed_count,
    hourly_messages.delivered_count
    / nullif(hourly_messages.attempted_count, 0) as delivery_rate,
    hourly_messages.delivered_count
    / nullif(hourly_messages.delivered_count + hourly_messages.failed_count, 0)
        as confirmed_delivery_rate,
    hourly_messages.unsettled_count = 0
    and hours_covered.hour_started_at is not null as is_settled

from hourly_messages
left join hours_covered
    on
        hourly_messages.hour_started_at = hours_covered.hour_started_at
        and hourly_messages.account_sid = hours_covered.account_sid
