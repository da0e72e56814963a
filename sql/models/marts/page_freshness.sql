with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

accounts as (

    select * from {{ source('lake', 'accounts') }}

),

windows_asked as (

    select
        *,
        outcome in ('ok', 'empty') as is_read
    from {{ source('lake', 'extractions') }}
    where dataset in ('messages', 'usage_records')

),

accounts_asked as (

    select
        account_sid,
        min(window_start) filter (where is_read and dataset = 'messages') as messages_read_from,
        max(window_end) filter (where is_read and dataset = 'messages') as messages_read_until,
        max(read_at) filter (where is_read and dataset = 'messages') as messages_read_at,
        max(read_at) filter (where is_read and dataset = 'usage_records') as usage_read_at,
        max_by(outcome, (read_at, window_end, window_start)) filter (where dataset = 'messages')
            as messages_outcome
    from windows_asked
    group by account_sid

),

-- One without a figure has no currency either: it is told of with all accounts of any.
accounts_without_scope as (

    select account_sid from accounts
    union
    select account_sid from accounts_asked
    except
    select account_sid from account_scopes

),

scopes as (

    select
        scope,
        account_sid
    from account_scopes
    union
    select
        account_scopes.scope,
        accounts_without_scope.account_sid
    from accounts_without_scope
    cross join account_scopes
    where account_scopes.is_all

)

select
    scopes.scope,
    scopes.account_sid,
    accounts.name as account_name,
    accounts.status,
    accounts_asked.messages_read_from,
    accounts_asked.messages_read_until,
    accounts_asked.messages_read_at,
    accounts_asked.usage_read_at,
    accounts_asked.messages_outcome,
    row_number() over (
        partition by scopes.scope
        order by
            coalesce(scopes.account_sid = accounts.owner_account_sid, false) desc,
            accounts.name asc,
            scopes.account_sid asc
    )::integer as position

from scopes
left join accounts
    on scopes.account_sid = accounts.account_sid
left join accounts_asked
    on scopes.account_sid = accounts_asked.account_sid
