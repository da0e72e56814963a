with

daily_errors as (

    select * from {{ ref('daily_errors') }}

),

attempts as (

    select
        message_date,
        account_sid,
        channel,
        sum(attempted_count)::bigint as attempted_count
    from {{ ref('hourly_messages') }}
    where direction = 'outbound'
    group by all

),

error_codes as (

    select * from {{ ref('error_codes') }}

),

errors as (

    select
        daily_errors.*,
        coalesce(error_codes.error_code, -1) as described_code
    from daily_errors
    left join error_codes
        on daily_errors.error_code = error_codes.error_code

)

select
    errors.message_date,
    errors.account_sid,
    errors.channel,
    errors.error_code,
    errors.message_count,
    errors.message_count / attempts.attempted_count as share_of_attempted,
    error_codes.title_{{ var("language") }} as title,
    error_codes.cause_{{ var("language") }} as cause,
    error_codes.remedy_{{ var("language") }} as remedy,
    error_codes.is_blocked,
    error_codes.is_retryable

from errors
left join error_codes
    on errors.described_code = error_codes.error_code
left join attempts
    on
        errors.message_date = attempts.message_date
        and errors.account_sid = attempts.account_sid
        and errors.channel = attempts.channel
