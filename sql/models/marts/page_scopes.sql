with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

accounts as (

    select * from {{ source('lake', 'accounts') }}

),

scopes as (

    select
        account_scopes.scope,
        max(account_scopes.currency) as currency,
        bool_or(account_scopes.is_all) as is_all,
        bool_or(account_scopes.has_budget) as has_budget,
        count(*) as account_count,
        max(accounts.name) as account_name,
        coalesce(bool_or(accounts.account_sid = accounts.owner_account_sid), false) as has_main
    from account_scopes
    left join accounts
        on account_scopes.account_sid = accounts.account_sid
    group by account_scopes.scope

)

select
    scope as account_sid,
    currency,
    is_all,
    has_budget,
    account_count,
    case when not is_all then account_name end as account_name,
    row_number() over (
        order by is_all desc, has_main desc, account_count desc, account_name asc, scope asc
    )::integer as position

from scopes
