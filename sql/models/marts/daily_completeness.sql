with

last_run as (

    select * from {{ ref('int_last_run') }}

),

extractions as (

    select * from {{ source('lake', 'extractions') }}
    where dataset in ('messages', 'usage_records')

),

reads as (

    select * from {{ ref('reads') }}

),

usage_categories as (

    select * from {{ ref('usage_categories') }}
    where channel_group is not null

),

counted as (

    select
        utc_date as usage_date,
        account_sid,
        case when channel in ('sms', 'mms', 'rcs') then channel else 'channels' end
            as channel_group,
        sum(billed_count)::bigint as message_count,
        sum(billed_segment_count)::bigint as segment_count
    from {{ ref('hourly_messages') }}
    where billed_count > 0
    group by all

),

used as (

    select
        usage_records.usage_date,
        usage_records.account_sid,
        usage_categories.channel_group,
        usage_records.event_count,
        usage_records.usage_quantity
    from {{ source('lake', 'usage_records') }} as usage_records
    inner join usage_categories
        on usage_records.category = usage_categories.category

),

channel_groups as (

    select
        account_sid,
        channel_group
    from counted
    union
    select
        account_sid,
        channel_group
    from used

),

first_dates as (

    select
        account_sid,
        min((window_start at time zone 'UTC')::date) as first_date
    from extractions
    group by account_sid

),

days as (

    select
        first_dates.account_sid,
        unnest(generate_series(first_dates.first_date, last_run.utc_date, interval 1 day))::date
            as usage_date,
        last_run.utc_date as last_date
    from first_dates
    cross join last_run

),

unbroken_reads as (

    select distinct
        dataset,
        account_sid,
        unbroken_from at time zone 'UTC' as unbroken_from,
        unbroken_until at time zone 'UTC' as unbroken_until
    from reads

),

-- Of the day that is not over, what there is of it counts as all.
days_covered as (

    select
        days.account_sid,
        days.usage_date,
        bool_or(unbroken_reads.dataset = 'messages') as has_messages,
        bool_or(unbroken_reads.dataset = 'usage_records') as has_usage
    from days
    inner join unbroken_reads
        on
            days.account_sid = unbroken_reads.account_sid
            and unbroken_reads.unbroken_from <= days.usage_date
            and unbroken_reads.unbroken_until > days.usage_date
            and (
                unbroken_reads.unbroken_until >= days.usage_date + 1
                or days.usage_date = days.last_date
            )
    group by all

),

days_read as (

    select
        days.account_sid,
        days.usage_date,
        max(reads.last_read_at) as last_read_at
    from days
    inner join reads
        on
            days.account_sid = reads.account_sid
            and days.usage_date::timestamp at time zone 'UTC' < reads.read_until
            and (days.usage_date + 1)::timestamp at time zone 'UTC' > reads.read_from
    where reads.dataset = 'messages'
    group by all

),

groups_by_day as (

    select
        days.usage_date,
        days.account_sid,
        channel_groups.channel_group,
        days.usage_date < days.last_date as is_over,
        coalesce(days_covered.has_messages, false) as has_messages,
        coalesce(days_covered.has_usage, false) as has_usage,
        counted.message_count is not null as is_counted,
        coalesce(counted.message_count, 0) as message_count,
        coalesce(counted.segment_count, 0) as segment_count,
        coalesce(used.event_count, 0)::bigint as event_count,
        coalesce(used.usage_quantity, 0)::bigint as usage_quantity,
        days_read.last_read_at
    from days
    inner join channel_groups
        on days.account_sid = channel_groups.account_sid
    left join counted
        on
            days.usage_date = counted.usage_date
            and days.account_sid = counted.account_sid
            and channel_groups.channel_group = counted.channel_group
    left join used
        on
            days.usage_date = used.usage_date
            and days.account_sid = used.account_sid
            and channel_groups.channel_group = used.channel_group
    left join days_covered
        on
            days.usage_date = days_covered.usage_date
            and days.account_sid = days_covered.account_sid
    left join days_read
        on
            days.usage_date = days_read.usage_date
            and days.account_sid = days_read.account_sid
    where
        counted.message_count is not null
        or used.channel_group is not null
        or days_covered.has_messages is distinct from true

),

-- What Twilio counts, messages or segments, and where it says so, is not documented: it is what
-- agrees with ours on most days, and the same for all days, so that a loss is not taken for it.
days_alike as (

    select
        account_sid,
        channel_group,
        count(*) filter (where event_count = message_count) as events_are_messages,
        count(*) filter (where usage_quantity = segment_count) as quantity_is_segments,
        count(*) filter (where event_count = segment_count) as events_are_segments,
        count(*) filter (where usage_quantity = message_count) as quantity_is_messages
    from groups_by_day
    where has_messages and has_usage and is_over and is_counted
    group by all

),

units as (

    select
        account_sid,
        channel_group,
        case
            when
                events_are_messages
                >= greatest(quantity_is_segments, events_are_segments, quantity_is_messages)
                then 'event_count in messages'
            when quantity_is_segments >= greatest(events_are_segments, quantity_is_messages)
                then 'usage_quantity in segments'
            when events_are_segments >= quantity_is_messages then 'event_count in segments'
            else 'usage_quantity in messages'
        end as twilio_count
    from days_alike

),

groups_with_unit as (

    select
        groups_by_day.*,
        coalesce(units.twilio_count, 'event_count in messages') as twilio_count
    from groups_by_day
    left join units
        on
            groups_by_day.account_sid = units.account_sid
            and groups_by_day.channel_group = units.channel_group

),

groups_compared as (

    select
        *,
        split_part(twilio_count, ' in ', 2) as counted_unit,
        case
            when not has_usage then null
            when twilio_count like 'event_count%' then event_count
            else usage_quantity
        end as usage_count,
        case when twilio_count like '%in segments' then segment_count else message_count end
            as our_count
    from groups_with_unit

)

select
    usage_date,
    account_sid,
    channel_group,
    counted_unit,
    case when has_messages then message_count end as message_count,
    case when has_messages then segment_count end as segment_count,
    usage_count,
    case when has_messages then our_count - usage_count end as difference,
    last_read_at as last_extracted_at,
    case
        when not has_messages then 'not extracted'
        when not has_usage then 'no usage'
        when our_count = usage_count then 'complete'
        when our_count < usage_count then 'short'
        else 'over'
    end as state

from groups_compared
