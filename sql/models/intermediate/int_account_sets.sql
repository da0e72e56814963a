select
    scope,
    bool_or(is_all) as is_all,
    md5(string_agg(account_sid, ' ' order by account_sid)) as account_set

from {{ ref('account_scopes') }}
group by scope
