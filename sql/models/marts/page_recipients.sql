with

winners as (

    select
        * exclude (last_message_at),
        last_message_at at time zone 'UTC' as last_message_at
    from {{ ref('int_recent_winners') }}
    union all by name
    select
        * exclude (month, account_set, last_message_at),
        strftime(month, '%Y-%m') as page_period,
        last_message_at at time zone 'UTC' as last_message_at
    from {{ ref('int_monthly_winners') }}
    union all by name
    select
        * exclude (month, account_sid, currency),
        strftime(month, '%Y-%m') as page_period,
        account_sid as scope
    from {{ ref('top_recipients') }}
    where recipient_rank <= 20

),

currencies as (

    select
        scope,
        max(currency) as currency
    from {{ ref('account_scopes') }}
    group by scope

)

select
    winners.page_period,
    winners.scope as account_sid,
    winners.recipient_rank::integer as recipient_rank,
    winners.recipient,
    winners.country,
    currencies.currency,
    winners.message_count::bigint as message_count,
    winners.delivered_count::bigint as delivered_count,
    winners.failed_count::bigint as failed_count,
    winners.message_cost::decimal(18, 6) as message_cost,
    winners.reply_count::bigint as reply_count,
    winners.last_message_at

from winners
inner join currencies on winners.scope = currencies.scope
