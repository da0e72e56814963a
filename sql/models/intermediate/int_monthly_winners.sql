-- depends_on: {{ ref('int_touched_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_touched_dates') }}) or (scope, account_set) not in (select (scope, account_set) from {{ ref('int_account_sets') }} where is_all){% endif %}"
) }}

with

scopes_of_all as (

    select
        scope,
        account_sid,
        count(*) over (partition by scope) as account_count
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

-- Each use reads the few columns it needs; kept for all, they would be all there is.
monthly_recipients as not materialized (

    select
        monthly_recipients.*,
        scopes_of_all.scope,
        scopes_of_all.account_count
    from {{ ref('monthly_recipients') }} as monthly_recipients
    inner join scopes_of_all
        on monthly_recipients.account_sid = scopes_of_all.account_sid
    where monthly_recipients.month in (select month from months)

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
        monthly_recipients.scope,
        monthly_recipients.recipient
    from monthly_recipients
    inner join fewest_to_win
        on
            monthly_recipients.month = fewest_to_win.month
            and monthly_recipients.scope = fewest_to_win.scope
    where
        monthly_recipients.message_count > 0
        and monthly_recipients.message_count * monthly_recipients.account_count
        >= fewest_to_win.message_count

),

-- Semi joins: as inner ones DuckDB may join each candidate to each account first.
winners as (

    select
        monthly_recipients.month,
        monthly_recipients.scope,
        monthly_recipients.recipient,
        row_number() over (
            partition by monthly_recipients.month, monthly_recipients.scope
            order by sum(monthly_recipients.message_count) desc, monthly_recipients.recipient asc
        ) as recipient_rank
    from monthly_recipients
    semi join candidates
        on
            monthly_recipients.month = candidates.month
            and monthly_recipients.scope = candidates.scope
            and monthly_recipients.recipient = candidates.recipient
    group by
        monthly_recipients.month,
        monthly_recipients.scope,
        monthly_recipients.recipient
    qualify recipient_rank <= 20

),

-- Kept as they are: DuckDB would add up every month before it looks for these in them.
months_of_winners as materialized (

    select * from monthly_recipients
    semi join winners
        on
            monthly_recipients.month = winners.month
            and monthly_recipients.scope = winners.scope
            and monthly_recipients.recipient = winners.recipient

),

figures as (

    select
        winners.month,
        winners.scope,
        winners.recipient_rank,
        winners.recipient,
        max(months_of_winners.country) as country,
        sum(months_of_winners.message_count) as message_count,
        sum(months_of_winners.delivered_count) as delivered_count,
        sum(months_of_winners.failed_count) as failed_count,
        sum(months_of_winners.message_cost) as message_cost,
        sum(months_of_winners.reply_count) as reply_count,
        max(months_of_winners.last_message_at) as last_message_at
    from winners
    inner join months_of_winners
        on
            winners.month = months_of_winners.month
            and winners.scope = months_of_winners.scope
            and winners.recipient = months_of_winners.recipient
    group by
        winners.month,
        winners.scope,
        winners.recipient_rank,
        winners.recipient

)

select
    figures.month,
    figures.scope,
    account_sets.account_set,
    figures.recipient_rank::integer as recipient_rank,
    figures.recipient,
    figures.country,
    figures.message_count::bigint as message_count,
    figures.delivered_count::bigint as delivered_count,
    figures.failed_count::bigint as failed_count,
    figures.message_cost::decimal(18, 6) as message_cost,
    figures.reply_count::bigint as reply_count,
    figures.last_message_at

from figures
inner join {{ ref('int_account_sets') }} as account_sets
    on figures.scope = account_sets.scope
