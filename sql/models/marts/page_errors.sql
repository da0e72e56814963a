with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

period_dates as (

    select * from {{ ref('int_period_dates') }}
    where calendar = 'local' and page_period is not null

),

error_codes as (

    select * from {{ ref('error_codes') }}

),

attempts as (

    select
        page_period,
        account_sid,
        sum(attempted_count) as attempted_count
    from {{ ref('page_groups') }}
    where dimension = 'channel'
    group by all

),

errors as (

    select
        period_dates.page_period,
        account_scopes.scope as account_sid,
        daily_errors.error_code,
        max(account_scopes.currency) as currency,
        sum(daily_errors.message_count) as message_count,
        sum(daily_errors.failed_count) as failed_count,
        sum(daily_errors.message_cost) as message_cost,
        max(daily_errors.message_date) as last_message_date
    from {{ ref('daily_errors') }} as daily_errors
    inner join period_dates
        on daily_errors.message_date = period_dates.figure_date
    inner join account_scopes
        on daily_errors.account_sid = account_scopes.account_sid
    group by all

),

errors_with_text as (

    select
        errors.*,
        coalesce(error_codes.error_code, -1) as described_code
    from errors
    left join error_codes
        on errors.error_code = error_codes.error_code

)

select
    errors_with_text.page_period,
    errors_with_text.account_sid,
    errors_with_text.error_code,
    errors_with_text.currency,
    errors_with_text.message_count::bigint as message_count,
    errors_with_text.failed_count::bigint as failed_count,
    errors_with_text.message_count / attempts.attempted_count as share_of_attempted,
    errors_with_text.message_cost::decimal(18, 6) as message_cost,
    errors_with_text.last_message_date,
    error_codes.title_en,
    error_codes.title_es,
    error_codes.cause_en,
    error_codes.cause_es,
    error_codes.remedy_en,
    error_codes.remedy_es,
    error_codes.is_blocked,
    error_codes.is_retryable,
    case
        when errors_with_text.error_code <> 0
            then 'https://www.twilio.com/docs/api/errors/' || errors_with_text.error_code
    end as url

from errors_with_text
left join error_codes
    on errors_with_text.described_code = error_codes.error_code
left join attempts
    on
        errors_with_text.page_period = attempts.page_period
        and errors_with_text.account_sid = attempts.account_sid
