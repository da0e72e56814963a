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

accounts as (

    select * from {{ source('lake', 'accounts') }}

),

first_reads as (

    select
        account_sid,
        min(read_at) as first_read_at
    from {{ source('lake', 'extractions') }}
    where dataset <> 'accounts'
    group by account_sid

),

-- Also one that was left out until now, but not one that is older than our knowledge.
new_accounts as (

    select
        'new_account' as alert,
        first_reads.account_sid,
        'account' as subject,
        1.0 as observed,
        0.0 as expected,
        first_reads.first_read_at as since,
        strftime(
            first_reads.first_read_at at time zone '{{ var("timezone") }}', '%Y-%m-%d %H:%M'
        ) as period,
        null::varchar as detail_en,
        null::varchar as detail_es
    from first_reads
    cross join clock
    inner join accounts
        on first_reads.account_sid = accounts.account_sid
    where
        accounts.owner_account_sid is distinct from accounts.account_sid
        and first_reads.first_read_at > clock.recent_from
        and first_reads.first_read_at > clock.first_run_at
        and coalesce(accounts.created_at > clock.first_run_at, true)

),

history as (

    select min(message_date) as first_date from {{ ref('hourly_messages') }}

),

codes as (

    select
        daily_errors.error_code,
        min(daily_errors.message_date) as first_date,
        sum(daily_errors.message_count)::double as message_count,
        max_by(daily_errors.account_sid, daily_errors.message_count) as account_sid
    from {{ ref('daily_errors') }} as daily_errors
    where daily_errors.error_code > 0
    group by daily_errors.error_code

),

new_codes as (

    select
        thresholds.alert,
        codes.account_sid,
        codes.error_code::varchar as subject,
        codes.message_count as observed,
        0.0 as expected,
        codes.first_date::timestamp at time zone '{{ var("timezone") }}' as since,
        codes.first_date::varchar as period,
        coalesce(error_codes.title_en, unknown_code.title_en) as detail_en,
        coalesce(error_codes.title_es, unknown_code.title_es) as detail_es
    from codes
    cross join clock
    cross join history
    inner join thresholds
        on
            thresholds.alert = 'new_error_code'
            and codes.message_count >= thresholds.minimum_sample
            -- where little was read everything is new
            and codes.first_date - history.first_date >= thresholds.threshold
    left join {{ ref('error_codes') }} as error_codes
        on codes.error_code = error_codes.error_code
    left join {{ ref('error_codes') }} as unknown_code
        on unknown_code.error_code = -1
    where
        codes.first_date >= clock.recent_date
        -- said already as the cause of what does not arrive
        and not exists (
            select 1 from {{ ref('int_alerts_on_delivery') }} as on_delivery
            where
                on_delivery.account_sid = codes.account_sid
                and contains(on_delivery.detail_en, codes.error_code || ' ')
        )

)

select
    *,
    1.0 as badness,
    null::varchar as currency
from new_accounts
union all
select
    *,
    1.0 as badness,
    null::varchar as currency
from new_codes
