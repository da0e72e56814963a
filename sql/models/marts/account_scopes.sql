with

accounts as (

    select * from {{ source('lake', 'accounts') }}

),

message_accounts as (

    select
        account_sid,
        max(currency) as currency
    from {{ ref('hourly_messages') }}
    group by account_sid

),

usage_accounts as (

    select
        account_sid,
        max(currency) as currency
    from {{ source('lake', 'usage_records') }}
    group by account_sid

),

-- One that was asked for but never answered belongs too, unless it is known to be out of use:
-- figures of all accounts are not final while something of one of them is missing.
accounts_asked as (

    select distinct account_sid
    from {{ source('lake', 'extractions') }}
    where
        dataset in ('messages', 'usage_records')
        and (
            outcome in ('ok', 'empty')
            or account_sid not in (
                select account_sid from accounts
                where status in ('suspended', 'closed')
            )
        )

),

account_sids as (

    select account_sid from message_accounts
    union
    select account_sid from usage_accounts
    union
    select account_sid from accounts_asked

),

accounts_with_currency as (

    select
        account_sids.account_sid,
        coalesce(usage_accounts.currency, message_accounts.currency) as currency,
        accounts.created_at,
        coalesce(accounts.account_sid = accounts.owner_account_sid, false) as is_main
    from account_sids
    left join message_accounts on account_sids.account_sid = message_accounts.account_sid
    left join usage_accounts on account_sids.account_sid = usage_accounts.account_sid
    left join accounts on account_sids.account_sid = accounts.account_sid

),

currencies as (

    select
        currency,
        row_number() over (
            order by count(*) desc, currency asc
        ) as currency_rank,
        count(*) over () as currency_count
    from accounts_with_currency
    where currency is not null
    group by currency

),

-- Money of two currencies is never added: each has its own `all`.
accounts_with_scope as (

    select
        accounts_with_currency.account_sid,
        coalesce(accounts_with_currency.currency, currencies.currency) as currency,
        accounts_with_currency.created_at,
        accounts_with_currency.is_main,
        case
            when currencies.currency_count > 1
                then 'all ' || coalesce(accounts_with_currency.currency, currencies.currency)
            else 'all'
        end as all_scope
    from accounts_with_currency
    left join currencies on currencies.currency_rank = 1

),

scopes as (

    select
        account_sid as scope,
        account_sid,
        currency,
        created_at,
        false as is_all,
        false as has_main
    from accounts_with_scope
    union all
    select
        all_scope as scope,
        account_sid,
        currency,
        created_at,
        true as is_all,
        bool_or(is_main) over (partition by all_scope)
        or not bool_or(is_main) over () as has_main
    from accounts_with_scope

)

select
    scope,
    account_sid,
    currency,
    is_all,
    is_all and has_main as has_budget,
    created_at

from scopes
