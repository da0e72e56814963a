-- The winners first, by their number of messages alone; then what else there is to say of them.
-- All of it for every recipient, period and scope would not fit into memory.
with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

daily_recipients as (

    select * from {{ ref('daily_recipients') }}

),

monthly_recipients as (

    select * from {{ ref('monthly_recipients') }}

),

recent_periods as (

    select
        page_period,
        start_date,
        end_date
    from {{ ref('page_periods') }}
    where period like 'last_%'

),

winners_of_months as (

    select
        strftime(month, '%Y-%m') as page_period,
        account_sid as scope,
        recipient,
        recipient_rank
    from {{ ref('top_recipients') }}
    where recipient_rank <= 20
    union all
    select
        strftime(monthly_recipients.month, '%Y-%m') as page_period,
        account_scopes.scope,
        monthly_recipients.recipient,
        row_number() over (
            partition by monthly_recipients.month, account_scopes.scope
            order by sum(monthly_recipients.message_count) desc, monthly_recipients.recipient asc
        ) as recipient_rank
    from monthly_recipients
    inner join account_scopes
        on monthly_recipients.account_sid = account_scopes.account_sid
    where account_scopes.is_all and monthly_recipients.message_count > 0
    group by
        monthly_recipients.month,
        account_scopes.scope,
        monthly_recipients.recipient
    qualify recipient_rank <= 20

),

winners_of_all as (

    select
        'all' as page_period,
        account_scopes.scope,
        monthly_recipients.recipient,
        row_number() over (
            partition by account_scopes.scope
            order by sum(monthly_recipients.message_count) desc, monthly_recipients.recipient asc
        ) as recipient_rank
    from monthly_recipients
    inner join account_scopes
        on monthly_recipients.account_sid = account_scopes.account_sid
    where monthly_recipients.message_count > 0
    group by
        account_scopes.scope,
        monthly_recipients.recipient
    qualify recipient_rank <= 20

),

winners_of_late as (

    select
        recent_periods.page_period,
        account_scopes.scope,
        daily_recipients.recipient,
        row_number() over (
            partition by recent_periods.page_period, account_scopes.scope
            order by sum(daily_recipients.message_count) desc, daily_recipients.recipient asc
        ) as recipient_rank
    from daily_recipients
    inner join recent_periods
        on
            daily_recipients.message_date >= recent_periods.start_date
            and daily_recipients.message_date < recent_periods.end_date
    inner join account_scopes
        on daily_recipients.account_sid = account_scopes.account_sid
    where daily_recipients.message_count > 0
    group by
        recent_periods.page_period,
        account_scopes.scope,
        daily_recipients.recipient
    qualify recipient_rank <= 20

),

winners as (

    select * from winners_of_months
    union all
    select * from winners_of_all
    union all
    select * from winners_of_late

),

winners_by_account as (

    select
        winners.*,
        account_scopes.account_sid,
        account_scopes.currency,
        recent_periods.start_date,
        recent_periods.end_date
    from winners
    inner join account_scopes
        on winners.scope = account_scopes.scope
    left join recent_periods
        on winners.page_period = recent_periods.page_period

),

figures as (

    select
        winners_by_account.page_period,
        winners_by_account.scope,
        winners_by_account.recipient_rank,
        winners_by_account.recipient,
        winners_by_account.currency,
        monthly_recipients.country,
        monthly_recipients.message_count,
        monthly_recipients.delivered_count,
        monthly_recipients.failed_count,
        monthly_recipients.message_cost,
        monthly_recipients.reply_count,
        monthly_recipients.last_message_at
    from winners_by_account
    inner join monthly_recipients
        on
            winners_by_account.account_sid = monthly_recipients.account_sid
            and winners_by_account.recipient = monthly_recipients.recipient
            and winners_by_account.page_period
            in ('all', strftime(monthly_recipients.month, '%Y-%m'))
    union all
    select
        winners_by_account.page_period,
        winners_by_account.scope,
        winners_by_account.recipient_rank,
        winners_by_account.recipient,
        winners_by_account.currency,
        daily_recipients.country,
        daily_recipients.message_count,
        daily_recipients.delivered_count,
        daily_recipients.failed_count,
        daily_recipients.message_cost,
        daily_recipients.reply_count,
        daily_recipients.last_message_at
    from winners_by_account
    inner join daily_recipients
        on
            winners_by_account.account_sid = daily_recipients.account_sid
            and winners_by_account.recipient = daily_recipients.recipient
            and winners_by_account.start_date <= daily_recipients.message_date
            and winners_by_account.end_date > daily_recipients.message_date

)

select
    page_period,
    scope as account_sid,
    recipient_rank::integer as recipient_rank,
    recipient,
    max(country) as country,
    max(currency) as currency,
    sum(message_count)::bigint as message_count,
    sum(delivered_count)::bigint as delivered_count,
    sum(failed_count)::bigint as failed_count,
    sum(message_cost)::decimal(18, 6) as message_cost,
    sum(reply_count)::bigint as reply_count,
    max(last_message_at) at time zone 'UTC' as last_message_at

from figures
group by
    page_period,
    scope,
    recipient_rank,
    recipient
