-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}) or (scope, account_sids) not in (select (scope, list(account_sid order by account_sid)) from {{ ref('account_scopes') }} where is_all group by scope){% endif %}"
) }}

with

scopes_of_all as (

    select
        scope,
        account_sid,
        count(*) over (partition by scope) as account_count,
        list(account_sid order by account_sid) over (partition by scope) as account_sids
    from {{ ref('account_scopes') }}
    where is_all

),

top_recipients as (

    select
        top_recipients.month,
        scopes_of_all.scope,
        top_recipients.recipient_rank,
        top_recipients.message_count
    from {{ ref('top_recipients') }} as top_recipients
    inner join scopes_of_all
        on top_recipients.account_sid = scopes_of_all.account_sid

),

-- Each use reads the few columns it needs; kept for all, they would be all there is.
monthly_recipients as not materialized (

    select * from {{ ref('monthly_recipients') }}

),

-- only the months deleted above: all of them in an empty build file
months as (

    select distinct
        month,
        scope
    from top_recipients
    {% if is_incremental() %}
        where (month, scope) not in (select (month, scope) from {{ this }})
    {% endif %}

),

-- Of all accounts together, 20 have at least as many as the twentieth of any account alone...
fewest_to_win as (

    select
        months.month,
        months.scope,
        coalesce(
            max(top_recipients.message_count) filter (where top_recipients.recipient_rank = 20), 0
        ) as message_count
    from months
    inner join top_recipients
        on
            months.month = top_recipients.month
            and months.scope = top_recipients.scope
    group by
        months.month,
        months.scope

),

-- ... and who has so many, has its share of them with one account. Only these are added up.
candidates as (

    select distinct
        monthly_recipients.month,
        fewest_to_win.scope,
        monthly_recipients.recipient
    from monthly_recipients
    inner join scopes_of_all
        on monthly_recipients.account_sid = scopes_of_all.account_sid
    inner join fewest_to_win
        on
            monthly_recipients.month = fewest_to_win.month
            and scopes_of_all.scope = fewest_to_win.scope
    where
        monthly_recipients.message_count > 0
        and monthly_recipients.message_count * scopes_of_all.account_count
        >= fewest_to_win.message_count

),

winners as (

    select
        candidates.month,
        candidates.scope,
        candidates.recipient,
        row_number() over (
            partition by candidates.month, candidates.scope
            order by sum(monthly_recipients.message_count) desc, candidates.recipient asc
        ) as recipient_rank
    from monthly_recipients
    inner join scopes_of_all
        on monthly_recipients.account_sid = scopes_of_all.account_sid
    inner join candidates
        on
            monthly_recipients.month = candidates.month
            and monthly_recipients.recipient = candidates.recipient
            and scopes_of_all.scope = candidates.scope
    group by
        candidates.month,
        candidates.scope,
        candidates.recipient
    qualify recipient_rank <= 20

),

addresses_of_winners as (

    select distinct
        month,
        recipient
    from winners

),

-- Kept as they are: DuckDB would add up every month before it looks for these in them.
months_of_winners as materialized (

    select monthly_recipients.*
    from monthly_recipients
    inner join addresses_of_winners
        on
            monthly_recipients.month = addresses_of_winners.month
            and monthly_recipients.recipient = addresses_of_winners.recipient

)

select
    winners.month,
    winners.scope,
    scopes_of_all.account_sids,
    winners.recipient_rank::integer as recipient_rank,
    winners.recipient,
    max(months_of_winners.country) as country,
    sum(months_of_winners.message_count)::bigint as message_count,
    sum(months_of_winners.delivered_count)::bigint as delivered_count,
    sum(months_of_winners.failed_count)::bigint as failed_count,
    sum(months_of_winners.message_cost)::decimal(18, 6) as message_cost,
    sum(months_of_winners.reply_count)::bigint as reply_count,
    max(months_of_winners.last_message_at) as last_message_at

from winners
inner join scopes_of_all
    on winners.scope = scopes_of_all.scope
inner join months_of_winners
    on
        winners.month = months_of_winners.month
        and winners.recipient = months_of_winners.recipient
        and scopes_of_all.account_sid = months_of_winners.account_sid
group by
    winners.month,
    winners.scope,
    scopes_of_all.account_sids,
    winners.recipient_rank,
    winners.recipient
