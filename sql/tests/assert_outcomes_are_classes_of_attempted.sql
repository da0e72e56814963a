select *
from {{ ref('hourly_messages') }}
where
    delivered_count + failed_count > attempted_count
    or attempted_count > message_count
    or (direction <> 'outbound' and attempted_count > 0)
