{# Messages as marts.messages describes them, from rows of the lake: all, or those of some dates.

   dates: a relation with the column message_date, of the dates that are looked at. #}
{% macro messages_of(held, dates=none) -%}
with

messages as (

    select
        *,
        coalesce(sent_at, created_at) as message_at,
        case when direction = 'inbound' then sender else recipient end as other_party
    from {{ held }}

),

message_statuses as (

    select * from {{ ref('message_statuses') }}

),

messages_in_local_time as (

    select
        *,
        {{ local_time('message_at', dates) }} as local_at,
        date_diff('minute', {{ utc_time('message_at') }}, local_at) as offset_minutes,
        case
            when direction = 'inbound' then 'inbound'
            when direction like 'outbound%' then 'outbound'
            else 'unknown'
        end as general_direction
    from messages

)

select
    messages_in_local_time.message_sid,
    messages_in_local_time.account_sid,
    messages_in_local_time.messaging_service_sid,
    case
        when contains(messages_in_local_time.other_party, ':')
            then lower(split_part(messages_in_local_time.other_party, ':', 1))
        when
            messages_in_local_time.media_count > 0
            or messages_in_local_time.message_sid like 'MM%'
            then 'mms'
        else 'sms'
    end as channel,
    messages_in_local_time.general_direction as direction,
    messages_in_local_time.direction as twilio_direction,
    messages_in_local_time.status,
    messages_in_local_time.error_code,
    messages_in_local_time.sender,
    messages_in_local_time.recipient,
    nullif(
        substr(
            messages_in_local_time.other_party,
            strpos(messages_in_local_time.other_party, ':') + 1
        ),
        ''
    ) as address,
    messages_in_local_time.country,
    messages_in_local_time.message_at,
    messages_in_local_time.local_at::date as message_date,
    date_trunc('hour', messages_in_local_time.local_at) as message_hour,
    {{ utc_offset('messages_in_local_time.offset_minutes') }} as utc_offset,
    -- in numbers: to subtract an interval DuckDB asks a calendar
    make_timestamptz(
        epoch_us(messages_in_local_time.message_at)
        - epoch_us(messages_in_local_time.local_at)
        + epoch_us(date_trunc('hour', messages_in_local_time.local_at))
    ) as hour_started_at,
    messages_in_local_time.created_at,
    messages_in_local_time.sent_at,
    messages_in_local_time.updated_at,
    (-messages_in_local_time.price)::decimal(18, 6) as message_cost,
    messages_in_local_time.currency,
    messages_in_local_time.segment_count,
    messages_in_local_time.media_count,
    messages_in_local_time.body_length,
    messages_in_local_time.body_encoding,
    messages_in_local_time.body,
    messages_in_local_time.extra,
    messages_in_local_time.is_opt_out_request,
    messages_in_local_time.general_direction = 'outbound'
    and coalesce(message_statuses.is_attempted, true) as is_attempted,
    messages_in_local_time.general_direction = 'outbound'
    and coalesce(message_statuses.is_delivered, false) as is_delivered,
    messages_in_local_time.general_direction = 'outbound'
    and coalesce(message_statuses.is_failed, false) as is_failed,
    messages_in_local_time.general_direction = 'outbound'
    and coalesce(message_statuses.is_attempted, true)
    and not coalesce(message_statuses.is_delivered or message_statuses.is_failed, false)
        as is_unconfirmed,
    coalesce(message_statuses.is_final, false) as is_final,
    messages_in_local_time.first_seen_at,
    messages_in_local_time.last_seen_at,
    messages_in_local_time.missing_since

from messages_in_local_time
left join message_statuses
    on messages_in_local_time.status = message_statuses.status
{%- endmacro %}
