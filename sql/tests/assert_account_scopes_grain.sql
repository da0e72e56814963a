select
    scope,
    account_sid,
    count(*) as row_count

from {{ ref('account_scopes') }}
group by
    scope,
    account_sid
having count(*) > 1
