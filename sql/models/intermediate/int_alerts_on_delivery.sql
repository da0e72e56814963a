with

clock as (

    select
        *,
        (recent_from at time zone '{{ var("timezone") }}')::date as recent_date
    from {{ ref('int_alert_clock') }}

),

thresholds as (

    select * from {{ ref('alerts') }}

),

hours as (

    select
        hourly_messages.account_sid,
        hourly_messages.channel,
        hourly_messages.message_date,
        hourly_messages.hour_started_at,
        sum(hourly_messages.attempted_count) as attempted_count,
        sum(hourly_messages.delivered_count) as delivered_count,
        sum(hourly_messages.failed_count) as failed_count,
        sum(hourly_messages.blocked_count) as blocked_count
    from {{ ref('hourly_messages') }} as hourly_messages
    cross join clock
    where
        hourly_messages.direction = 'outbound'
        and hourly_messages.message_date >= clock.recent_date - 1
        -- what was sent just now cannot have arrived yet
        and hourly_messages.hour_started_at + interval 1 hour <= clock.ended_before
    group by all

),

-- An outage of some hours would not be seen in the whole day.
six_hours as (

    select
        account_sid,
        channel,
        message_date,
        false as is_day,
        hour_started_at - interval 5 hours as started_at,
        hour_started_at + interval 1 hour as ended_at,
        sum(attempted_count) over until_then as attempted_count,
        sum(delivered_count) over until_then as delivered_count,
        sum(failed_count) over until_then as failed_count,
        sum(blocked_count) over until_then as blocked_count
    from hours
    window until_then as (
        partition by account_sid, channel
        order by hour_started_at
        range between interval 5 hours preceding and current row
    )

),

days as (

    select
        account_sid,
        channel,
        message_date,
        true as is_day,
        min(hour_started_at) as started_at,
        max(hour_started_at) + interval 1 hour as ended_at,
        sum(attempted_count) as attempted_count,
        sum(delivered_count) as delivered_count,
        sum(failed_count) as failed_count,
        sum(blocked_count) as blocked_count
    from hours
    group by all

),

-- Both by the day they end in, so that one incident is recent in both for as long.
windows_with_shares as (

    select
        windows.*,
        windows.delivered_count / windows.attempted_count as delivered_share,
        windows.failed_count / windows.attempted_count as failed_share,
        windows.blocked_count / windows.attempted_count as blocked_share,
        windows.attempted_count - windows.blocked_count as unblocked_count,
        -- of those that nobody refused on purpose
        windows.delivered_count / nullif(unblocked_count, 0) as unblocked_delivered_share,
        (windows.failed_count - windows.blocked_count) / windows.attempted_count
            as unblocked_failed_share
    from (
        from six_hours
        union all
        from days
    ) as windows
    cross join clock
    where windows.message_date >= clock.recent_date and windows.attempted_count > 0

),

breaches as (

    select
        thresholds.alert,
        windows_with_shares.*,
        case thresholds.alert
            when 'blocked_rate' then windows_with_shares.blocked_share
            when 'delivery_rate' then windows_with_shares.delivered_share
            else windows_with_shares.failed_share
        end as observed,
        thresholds.threshold as expected,
        case thresholds.alert
            when 'blocked_rate' then windows_with_shares.blocked_share / thresholds.threshold
            when 'delivery_rate'
                then (1 - windows_with_shares.delivered_share) / (1 - thresholds.threshold)
            else windows_with_shares.failed_share / thresholds.threshold
        end as badness
    from windows_with_shares
    inner join thresholds
        on
            case
                when thresholds.alert = 'delivery_rate' then windows_with_shares.unblocked_count
                else windows_with_shares.attempted_count
            end >= thresholds.minimum_sample
            and case thresholds.alert
                when 'blocked_rate' then windows_with_shares.blocked_share > thresholds.threshold
                when 'delivery_rate'
                    then windows_with_shares.unblocked_delivered_share < thresholds.threshold
                -- a few hours with errors are a fall of delivery or pass
                when 'error_rate'
                    then
                        windows_with_shares.is_day
                        and windows_with_shares.unblocked_failed_share > thresholds.threshold
            end

),

worst as (

    select * from breaches
    qualify
        row_number() over (
            partition by alert, account_sid, channel
            order by badness desc, started_at asc
        ) = 1

),

-- What does not arrive because it fails is one thing to know, not two.
worst_of_each as (

    select * from worst
    where
        not (
            alert = 'error_rate'
            and exists (
                select 1 from worst as others
                where
                    others.alert = 'delivery_rate'
                    and others.account_sid = worst.account_sid
                    and others.channel = worst.channel
            )
        )

),

codes as (

    select
        daily_errors.message_date,
        daily_errors.account_sid,
        daily_errors.channel,
        error_codes.is_blocked,
        daily_errors.message_count,
        daily_errors.error_code || coalesce(' (' || error_codes.title_en || ')', '') as error_en,
        daily_errors.error_code || coalesce(' (' || error_codes.title_es || ')', '') as error_es
    from {{ ref('daily_errors') }} as daily_errors
    left join {{ ref('error_codes') }} as error_codes
        on daily_errors.error_code = error_codes.error_code

),

-- Of the days the window lies in: hours are not kept by code.
codes_of_each as (

    select
        worst_of_each.alert,
        worst_of_each.account_sid,
        worst_of_each.channel,
        codes.error_en,
        codes.error_es,
        sum(codes.message_count) as message_count
    from worst_of_each
    inner join codes
        on
            worst_of_each.account_sid = codes.account_sid
            and worst_of_each.channel = codes.channel
            and codes.message_date <= worst_of_each.message_date
            and codes.message_date
            >= (worst_of_each.started_at at time zone '{{ var("timezone") }}')::date
            and (worst_of_each.alert <> 'blocked_rate' or codes.is_blocked)
    group by all

),

most_frequent_codes as (

    select
        alert,
        account_sid,
        channel,
        max_by(error_en, (message_count, error_en)) as error_en,
        max_by(error_es, (message_count, error_en)) as error_es
    from codes_of_each
    group by all

)

select
    worst_of_each.alert,
    worst_of_each.account_sid,
    worst_of_each.channel as subject,
    worst_of_each.observed,
    worst_of_each.expected,
    worst_of_each.badness,
    worst_of_each.started_at as since,
    case
        when worst_of_each.is_day then worst_of_each.message_date::varchar
        else
            strftime(
                worst_of_each.started_at at time zone '{{ var("timezone") }}', '%Y-%m-%d %H:%M'
            )
            || '–'
            || strftime(worst_of_each.ended_at at time zone '{{ var("timezone") }}', '%H:%M')
    end as period,
    case
        when worst_of_each.alert = 'delivery_rate'
            then
                round(100 * worst_of_each.failed_share)::integer
                || ' % failed, most often '
                || coalesce(most_frequent_codes.error_en, 'without a code')
                || '; the others have no receipt yet'
        else coalesce(most_frequent_codes.error_en, 'no code')
    end as detail_en,
    case
        when worst_of_each.alert = 'delivery_rate'
            then
                'Falló el '
                || round(100 * worst_of_each.failed_share)::integer
                || ' %, sobre todo '
                || coalesce(most_frequent_codes.error_es, 'sin código')
                || '; los demás aún no tienen acuse'
        else coalesce(most_frequent_codes.error_es, 'sin código')
    end as detail_es,
    null::varchar as currency

from worst_of_each
left join most_frequent_codes
    on
        worst_of_each.alert = most_frequent_codes.alert
        and worst_of_each.account_sid = most_frequent_codes.account_sid
        and worst_of_each.channel = most_frequent_codes.channel
