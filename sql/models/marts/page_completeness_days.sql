with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

daily_completeness as (

    select * from {{ ref('daily_completeness') }}

)

select
    daily_completeness.usage_date,
    account_scopes.scope as account_sid,
    daily_completeness.channel_group,
    max_by(
        daily_completeness.state,
        list_position(
            ['complete', 'over', 'short', 'no usage', 'not extracted'], daily_completeness.state
        )
    ) as state

from daily_completeness
inner join account_scopes
    on daily_completeness.account_sid = account_scopes.account_sid
group by all
