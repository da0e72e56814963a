-- The winners first, by their number of messages alone; then what else there is to say of them.
-- All of it for every recipient, period and scope would not fit into memory.
with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

-- Each use reads the few columns and days it needs; kept for all, they would be all there is.
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

starts as (

    select
        max(start_date) filter (where page_period = 'last_7_days') as last_7_days,
        max(start_date) filter (where page_period = 'last_30_days') as last_30_days,
        max(start_date) filter (where page_period = 'last_90_days') as last_90_days,
        max(end_date) as end_date
    from recent_periods

),

-- The 90 days are whole months and the days before and after them; those after are of the last 30.
edges as (

    select
        *,
        (date_trunc('month', last_90_days - 1) + interval 1 month)::date as first_month,
        date_trunc('month', end_date)::date as last_month
    from starts

),

-- What each period that is no month is made of: as few days as can be, the rest whole months.
pieces as not materialized (

    select
        daily_recipients.* exclude (message_date, currency),
        false as is_of_all,
        daily_recipients.message_date < edges.first_month
        or daily_recipients.message_date >= edges.last_month as is_of_last_90_days,
        daily_recipients.message_date >= edges.last_30_days as is_of_last_30_days,
        daily_recipients.message_date >= edges.last_7_days as is_of_last_7_days
    from daily_recipients
    cross join edges
    where
        daily_recipients.message_date >= (select last_90_days from starts)
        and daily_recipients.message_date < edges.end_date
        and (
            daily_recipients.message_date < edges.first_month
            or daily_recipients.message_date >= edges.last_30_days
        )
    union all
    select
        monthly_recipients.* exclude (month, currency),
        true as is_of_all,
        monthly_recipients.month >= edges.first_month
        and monthly_recipients.month < edges.last_month as is_of_last_90_days,
        false as is_of_last_30_days,
        false as is_of_last_7_days
    from monthly_recipients
    cross join edges

),

-- Each recipient of each account once, with what it got in every such period.
counts as (

    select
        account_sid,
        recipient,
        sum(message_count) filter (where is_of_all) as "all",
        sum(message_count) filter (where is_of_last_90_days) as last_90_days,
        sum(message_count) filter (where is_of_last_30_days) as last_30_days,
        sum(message_count) filter (where is_of_last_7_days) as last_7_days
    from pieces
    where message_count > 0
    group by
        account_sid,
        recipient

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

scopes_of_all as (

    select
        scope,
        account_sid,
        count(*) over (partition by scope) as account_count
    from account_scopes
    where is_all

),

-- Of all accounts together, 20 have at least as many as the twentieth of any account alone...
fewest_to_win_months as (

    select
        top_recipients.month,
        scopes_of_all.scope,
        max(top_recipients.message_count) as message_count
    from {{ ref('top_recipients') }} as top_recipients
    inner join scopes_of_all
        on top_recipients.account_sid = scopes_of_all.account_sid
    where top_recipients.recipient_rank = 20
    group by
        top_recipients.month,
        scopes_of_all.scope

),

-- ... and who has so many, has its share of them with one account. Only these are added up.
candidates_of_months as (

    select distinct
        monthly_recipients.month,
        scopes_of_all.scope,
        monthly_recipients.recipient
    from monthly_recipients
    inner join scopes_of_all
        on monthly_recipients.account_sid = scopes_of_all.account_sid
    left join fewest_to_win_months
        on
            monthly_recipients.month = fewest_to_win_months.month
            and scopes_of_all.scope = fewest_to_win_months.scope
    where
        monthly_recipients.message_count > 0
        and monthly_recipients.message_count * scopes_of_all.account_count
        >= coalesce(fewest_to_win_months.message_count, 0)

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
        strftime(candidates_of_months.month, '%Y-%m') as page_period,
        candidates_of_months.scope,
        candidates_of_months.recipient,
        row_number() over (
            partition by candidates_of_months.month, candidates_of_months.scope
            order by sum(monthly_recipients.message_count) desc, candidates_of_months.recipient asc
        ) as recipient_rank
    from monthly_recipients
    inner join scopes_of_all
        on monthly_recipients.account_sid = scopes_of_all.account_sid
    inner join candidates_of_months
        on
            monthly_recipients.month = candidates_of_months.month
            and monthly_recipients.recipient = candidates_of_months.recipient
            and scopes_of_all.scope = candidates_of_months.scope
    group by
        candidates_of_months.month,
        candidates_of_months.scope,
        candidates_of_months.recipient
    qualify recipient_rank <= 20

),

winners as (

    select * from winners_of_months
    union all
    select * from winners_of_periods

),

winners_by_account as materialized (

    select
        winners.*,
        account_scopes.account_sid,
        account_scopes.currency
    from winners
    inner join account_scopes
        on winners.scope = account_scopes.scope

),

figures as (

    select
        winners_by_account.*,
        monthly_recipients.* exclude (month, account_sid, recipient, currency)
    from winners_by_account
    inner join monthly_recipients
        on
            winners_by_account.account_sid = monthly_recipients.account_sid
            and winners_by_account.recipient = monthly_recipients.recipient
            and winners_by_account.page_period = strftime(monthly_recipients.month, '%Y-%m')
    union all by name
    select
        winners_by_account.*,
        pieces.* exclude (account_sid, recipient)
    from winners_by_account
    inner join pieces
        on
            winners_by_account.account_sid = pieces.account_sid
            and winners_by_account.recipient = pieces.recipient
            and case winners_by_account.page_period
                when 'all' then pieces.is_of_all
                when 'last_90_days' then pieces.is_of_last_90_days
                when 'last_30_days' then pieces.is_of_last_30_days
                when 'last_7_days' then pieces.is_of_last_7_days
            end

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
