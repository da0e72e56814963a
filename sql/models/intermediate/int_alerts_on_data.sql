with

clock as (

    select * from {{ ref('int_alert_clock') }}

),

thresholds as (

    select * from {{ ref('alerts') }}

),

-- Twilio refuses the data of suspended and closed accounts: that is no news.
closed_accounts as (

    select account_sid from {{ source('lake', 'accounts') }}
    where status <> 'active'

),

extractions as (

    select * from {{ source('lake', 'extractions') }}
    where
        dataset in ('messages', 'unsent_messages', 'usage_records')
        and account_sid not in (select account_sid from closed_accounts)

),

asked_accounts as (

    select
        extractions.account_sid,
        max(extractions.read_at) as asked_at
    from extractions
    cross join clock
    group by extractions.account_sid
    having max(extractions.read_at) > any_value(clock.recent_from)

),

last_successes as (

    select
        account_sid,
        dataset,
        max(read_at) as read_at
    from extractions
    where outcome in ('ok', 'empty')
    group by all

),

denied_datasets as (

    select
        extractions.account_sid,
        extractions.dataset,
        min(extractions.read_at) as since
    from extractions
    inner join asked_accounts
        on extractions.account_sid = asked_accounts.account_sid
    left join last_successes
        on
            extractions.account_sid = last_successes.account_sid
            and extractions.dataset = last_successes.dataset
    where
        extractions.outcome = 'denied'
        and coalesce(extractions.read_at >= last_successes.read_at, true)
    group by all
    having max(extractions.read_at) = any_value(asked_accounts.asked_at)

),

denied_accounts as (

    select
        denied_datasets.account_sid,
        any_value(accounts.owner_account_sid) as owner_account_sid,
        min(denied_datasets.since) as since,
        string_agg(denied_datasets.dataset, ', ' order by denied_datasets.dataset) as datasets
    from denied_datasets
    left join {{ source('lake', 'accounts') }} as accounts
        on denied_datasets.account_sid = accounts.account_sid
    group by denied_datasets.account_sid

),

-- Sub-accounts are reached through the main account: with it refused, that is all there is to say.
denied as (

    select
        'account_denied' as alert,
        denied_accounts.account_sid,
        'access' as subject,
        date_diff('minute', denied_accounts.since, clock.run_at) / 60 as observed,
        0.0 as expected,
        1.0 as badness,
        denied_accounts.since,
        denied_accounts.datasets as detail_en,
        denied_accounts.datasets as detail_es
    from denied_accounts
    cross join clock
    where
        denied_accounts.owner_account_sid = denied_accounts.account_sid
        or denied_accounts.owner_account_sid is null
        or denied_accounts.owner_account_sid not in (select account_sid from denied_datasets)

),

unbroken_reads as (

    select distinct
        dataset,
        account_sid,
        unbroken_from,
        unbroken_until
    from {{ ref('reads') }}
    where
        dataset in ('messages', 'usage_records')
        and account_sid in (select account_sid from asked_accounts)

),

stale as (

    select
        thresholds.alert,
        unbroken_reads.account_sid,
        unbroken_reads.dataset as subject,
        date_diff('minute', max(unbroken_reads.unbroken_until), any_value(clock.run_at)) / 60
            as observed,
        any_value(thresholds.threshold) as expected,
        observed / expected as badness,
        max(unbroken_reads.unbroken_until) as since,
        case unbroken_reads.dataset when 'messages' then 'messages' else 'usage' end as detail_en,
        case unbroken_reads.dataset when 'messages' then 'mensajes' else 'datos de uso' end
            as detail_es
    from unbroken_reads
    cross join clock
    inner join thresholds
        on thresholds.alert = 'stale_data'
    where unbroken_reads.account_sid not in (select account_sid from denied_accounts)
    group by all
    having observed > expected

),

gaps as (

    select
        account_sid,
        lag(unbroken_until) over (
            partition by account_sid
            order by unbroken_from
        ) as gap_from,
        unbroken_from as gap_until
    from unbroken_reads
    where dataset = 'messages'

),

gap_days as (

    select
        gaps.account_sid,
        unnest(
            generate_series(
                (gaps.gap_from at time zone 'UTC')::date,
                ((gaps.gap_until - interval 1 microsecond) at time zone 'UTC')::date,
                interval 1 day
            )
        )::date as gap_date
    from gaps
    where gaps.gap_from is not null

),

short_days as (

    select
        daily_completeness.account_sid,
        daily_completeness.usage_date as gap_date
    from {{ ref('daily_completeness') }} as daily_completeness
    cross join clock
    inner join thresholds
        on thresholds.alert = 'incomplete_data'
    where
        daily_completeness.state = 'short'
        -- Twilio books and corrects usage for days
        and daily_completeness.usage_date <= clock.utc_date - 4
        and -daily_completeness.difference
        >= greatest(
            thresholds.minimum_sample, thresholds.threshold * daily_completeness.usage_count
        )

),

incomplete_days as (

    select
        account_sid,
        gap_date
    from gap_days
    union
    select
        account_sid,
        gap_date
    from short_days

),

incomplete as (

    select
        'incomplete_data' as alert,
        incomplete_days.account_sid,
        'messages' as subject,
        count(*)::double as observed,
        0.0 as expected,
        count(*)::double as badness,
        min(incomplete_days.gap_date)::timestamp at time zone 'UTC' as since,
        null::varchar as detail_en,
        null::varchar as detail_es
    from incomplete_days
    cross join clock
    where incomplete_days.gap_date >= clock.utc_date - 35
    group by incomplete_days.account_sid

),

-- Twilio keeps a message for 400 days.
unread_days as (

    select
        thresholds.alert,
        gap_days.account_sid,
        'messages' as subject,
        min(gap_days.gap_date + 400 - clock.utc_date)::double as observed,
        any_value(thresholds.threshold) as expected,
        any_value(thresholds.threshold) / greatest(observed, 1) as badness,
        min(gap_days.gap_date)::timestamp at time zone 'UTC' as since,
        null::varchar as detail_en,
        null::varchar as detail_es
    from gap_days
    cross join clock
    inner join thresholds
        on thresholds.alert = 'unread_day'
    where gap_days.gap_date + 400 - clock.utc_date between 0 and thresholds.threshold
    group by all

),

rejects as (

    select
        thresholds.alert,
        rejects.account_sid,
        rejects.dataset as subject,
        count(*)::double as observed,
        0.0 as expected,
        count(*)::double as badness,
        min(rejects.rejected_at) as since,
        null::varchar as detail_en,
        null::varchar as detail_es
    from {{ source('lake', 'rejects') }} as rejects
    cross join clock
    inner join thresholds
        on thresholds.alert = 'rejects'
    where rejects.rejected_at > clock.recent_from
    group by all
    having count(*) >= any_value(thresholds.minimum_sample)

),

backlog as (

    select
        thresholds.alert,
        daily_figures.account_sid,
        'messages' as subject,
        sum(daily_figures.unsettled_count - daily_figures.scheduled_count)::double as observed,
        any_value(thresholds.threshold) as expected,
        observed / any_value(thresholds.minimum_sample) as badness,
        min(daily_figures.figure_date) filter (
            where daily_figures.unsettled_count > daily_figures.scheduled_count
        )
        ::timestamp at time zone '{{ var("timezone") }}' as since,
        null::varchar as detail_en,
        null::varchar as detail_es
    from {{ ref('daily_figures') }} as daily_figures
    cross join clock
    inner join thresholds
        on thresholds.alert = 'unsettled_backlog'
    where
        daily_figures.calendar = 'local'
        and daily_figures.figure_date < clock.local_date - thresholds.threshold::integer
        and daily_figures.account_sid not in (select account_sid from denied_accounts)
        and daily_figures.account_sid not in (select account_sid from closed_accounts)
    group by all
    having observed >= any_value(thresholds.minimum_sample)

),

missed as (

    select
        thresholds.alert,
        'all' as account_sid,
        'run' as subject,
        date_diff('minute', clock.previous_run_at, clock.run_at) / 60 as observed,
        thresholds.threshold as expected,
        1.0 as badness,
        clock.previous_run_at as since,
        null::varchar as detail_en,
        null::varchar as detail_es
    from clock
    inner join thresholds
        on thresholds.alert = 'missed_run'
    where clock.run_at - clock.previous_run_at > thresholds.threshold * interval 1 hour

),

concerns as (

    from denied
    union all
    from stale
    union all
    from incomplete
    union all
    from unread_days
    union all
    from rejects
    union all
    from backlog
    union all
    from missed

)

select
    *,
    case
        when alert in ('incomplete_data', 'unread_day')
            then strftime(since at time zone 'UTC', '%Y-%m-%d')
        else strftime(since at time zone '{{ var("timezone") }}', '%Y-%m-%d %H:%M')
    end as period,
    null::varchar as currency

from concerns
