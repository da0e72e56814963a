-- The winners first, by their number of messages alone; then what else there is to say of them.
-- All of it for every recipient, period and scope would not fit into memory.
with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

-- Each use reads the few columns and days it needs; kept once for all, they would be all there is.
daily_recipients as not materialized (

    select * from {{ ref('daily_recipients') }}

),

monthly_recipients as not materialized (

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

-- Months that a period begins or ends in: their days are looked at one by one.
months_cut as (

    select date_trunc('month', start_date)::date as month from recent_periods
    union
    select date_trunc('month', end_date)::date as month from recent_periods

),

pieces as (

    select
        message_date as from_date,
        account_sid,
        recipient,
        message_count
    from daily_recipients
    where
        message_count > 0
        and message_date >= (select min(month) from months_cut)
        and date_trunc('month', message_date) in (select month from months_cut)
    union all
    select
        month as from_date,
        account_sid,
        recipient,
        message_count
    from monthly_recipients
    where
        message_count > 0
        and month not in (select month from months_cut)

),

starts as (

    select
        max(start_date) filter (where page_period = 'last_7_days') as last_7_days,
        max(start_date) filter (where page_period = 'last_30_days') as last_30_days,
        max(start_date) filter (where page_period = 'last_90_days') as last_90_days,
        max(end_date) as end_date
    from recent_periods

),

-- Each recipient of each account once, with what it got in every period that is no month.
counts as (

    select
        pieces.account_sid,
        pieces.recipient,
        sum(pieces.message_count) as "all",
        sum(pieces.message_count) filter (
            where pieces.from_date >= starts.last_90_days and pieces.from_date < starts.end_date
        ) as last_90_days,
        sum(pieces.message_count) filter (
            where pieces.from_date >= starts.last_30_days and pieces.from_date < starts.end_date
        ) as last_30_days,
        sum(pieces.message_count) filter (
            where pieces.from_date >= starts.last_7_days and pieces.from_date < starts.end_date
        ) as last_7_days
    from pieces
    cross join starts
    group by
        pieces.account_sid,
        pieces.recipient

),

counts_by_scope as (

    select
        account_scopes.scope,
        counts.recipient,
        sum(counts."all") as "all",
        sum(counts.last_90_days) as last_90_days,
        sum(counts.last_30_days) as last_30_days,
        sum(counts.last_7_days) as last_7_days
    from counts
    inner join account_scopes
        on counts.account_sid = account_scopes.account_sid
    group by
        account_scopes.scope,
        counts.recipient

),

counts_by_period as (

    -- what is null, a recipient of another time, is left out
    unpivot counts_by_scope
    on "all", last_90_days, last_30_days, last_7_days
    into name page_period value message_count

),

-- Only who may be among the winners is put in order: far fewer than all.
fewest_to_win as (

    select
        page_period,
        scope,
        list_min(max(message_count, 20)) as message_count
    from counts_by_period
    group by
        page_period,
        scope

),

winners_of_periods as (

    select
        counts_by_period.page_period,
        counts_by_period.scope,
        counts_by_period.recipient,
        row_number() over (
            partition by counts_by_period.page_period, counts_by_period.scope
            order by counts_by_period.message_count desc, counts_by_period.recipient asc
        ) as recipient_rank
    from counts_by_period
    inner join fewest_to_win
        on
            counts_by_period.page_period = fewest_to_win.page_period
            and counts_by_period.scope = fewest_to_win.scope
            and counts_by_period.message_count >= fewest_to_win.message_count
    qualify recipient_rank <= 20

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

winners as (

    select * from winners_of_months
    union all
    select * from winners_of_periods

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
    where daily_recipients.message_date >= (select min(start_date) from recent_periods)

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
