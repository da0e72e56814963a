with

hourly_messages as (

    select * from {{ ref('hourly_messages') }}

),

unbroken_reads as (

    select distinct
        account_sid,
        unbroken_from,
        complete_until
    from {{ ref('reads') }}
    where dataset = 'messages'

),

daily_messages as (

    select
        message_date,
        account_sid,
        channel,
        direction,
        max(currency) as currency,
        sum(message_count)::bigint as message_count,
        sum(segment_count)::bigint as segment_count,
        sum(media_count)::bigint as media_count,
        sum(attempted_count)::bigint as attempted_count,
        sum(delivered_count)::bigint as delivered_count,
        sum(failed_count)::bigint as failed_count,
        sum(message_cost)::decimal(18, 6) as message_cost,
        sum(unpriced_count)::bigint as unpriced_count,
        sum(unsettled_count)::bigint as unsettled_count
    from hourly_messages
    group by all

),

dates_covered as (

    select distinct
        daily_messages.message_date,
        daily_messages.account_sid
    from daily_messages
    inner join unbroken_reads
        on
            daily_messages.account_sid = unbroken_reads.account_sid
            and unbroken_reads.unbroken_from
            <= daily_messages.message_date::timestamp at time zone '{{ var("timezone") }}'
            and unbroken_reads.complete_until
            >= (daily_messages.message_date + 1)::timestamp at time zone '{{ var("timezone") }}'

)

select
    daily_messages.message_date,
    daily_messages.account_sid,
    daily_messages.channel,
    daily_messages.direction,
    daily_messages.currency,
    daily_messages.message_count,
    daily_messages.segment_count,
    daily_messages.media_count,
    daily_messages.attempted_count,
    daily_messages.delivered_count,
    daily_messages.failed_count,
    daily_messages.attempted_count
    - daily_messages.delivered_count
    - daily_messages.failed_count as unconfirmed_count,
    daily_messages.message_cost,
    daily_messages.unpriced_count,
    daily_messages.unsettled_count = 0
    and dates_covered.message_date is not null as is_settled

from daily_messages
left join dates_covered
    on
        daily_messages.message_date = dates_covered.message_date
        and daily_messages.account_sid = dates_covered.account_sid
