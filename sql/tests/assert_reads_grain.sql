select
    dataset,
    account_sid,
    read_from,
    count(*) as row_count

from {{ ref('reads') }}
group by
    dataset,
    account_sid,
    read_from
having count(*) > 1
