{{ config(materialized='table') }}

{% set dates = dates_of_recent_periods(ref('int_last_run')) %}
{% set until = " and message_date < " ~ dates.end_date %}
{% set parts = [
    ("all", "past", "true"),
    ("all", "days_before", "true"),
    ("all", "days", "message_date >= " ~ dates.open_month),
    ("last_90_days", "days", "message_date >= " ~ dates.last_90_days ~ until),
    ("last_30_days", "days", "message_date >= " ~ dates.last_30_days ~ until),
    ("last_7_days", "days", "message_date >= " ~ dates.last_7_days ~ until),
] %}
-- Only candidates are added up: of a long history there are as many recipients as messages, and all
-- of them take minutes.
with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

candidates as (

    select * from {{ ref('int_recent_candidates') }}

),

past as (

    select * from {{ ref('int_past_leaders') }}

),

-- Looked through once for all periods.
days as materialized (

    {{ days_of_recipients(
        'candidates', "message_date >= least(" ~ dates.open_month ~ ", " ~ dates.last_90_days ~ ")"
    ) }}

),

unknown as materialized (

    select recipient from candidates
    where page_period = 'all' and recipient not in (select recipient from past)

),

-- What those got in the past of whom it is not known: mostly nobody.
days_before as (

    {{ days_of_recipients('unknown', "message_date < " ~ dates.open_month) }}

),

pieces as (

    {% for period, relation, condition in parts %}
        select
            '{{ period }}' as page_period,
            account_sid,
            recipient,
            country,
            message_count,
            delivered_count,
            failed_count,
            message_cost,
            reply_count,
            last_message_at
        from {{ relation }}
        where
            {{ condition }}
            and recipient in (
                select recipient from candidates
                where page_period = '{{ period }}'
            )
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

-- Each recipient once, with its replies to messages of other times.
figures as (

    select
        pieces.page_period,
        account_scopes.scope,
        pieces.recipient,
        nullif(max(pieces.country), '') as country,
        sum(pieces.message_count) as message_count,
        sum(pieces.delivered_count) as delivered_count,
        sum(pieces.failed_count) as failed_count,
        sum(pieces.message_cost) as message_cost,
        sum(pieces.reply_count) as reply_count,
        max(pieces.last_message_at) as last_message_at
    from pieces
    inner join account_scopes
        on pieces.account_sid = account_scopes.account_sid
    group by
        pieces.page_period,
        account_scopes.scope,
        pieces.recipient
    having sum(pieces.message_count) > 0

),

-- Only who may be among the winners is put in order: far fewer than all.
fewest_to_win as (

    select
        page_period,
        scope,
        list_min(max(message_count, 20)) as message_count
    from figures
    group by
        page_period,
        scope

)

select
    figures.page_period,
    figures.scope,
    row_number() over (
        partition by figures.page_period, figures.scope
        order by figures.message_count desc, figures.recipient asc
    ) as recipient_rank,
    figures.recipient,
    figures.country,
    figures.message_count,
    figures.delivered_count,
    figures.failed_count,
    figures.message_cost,
    figures.reply_count,
    figures.last_message_at

from figures
inner join fewest_to_win
    on
        figures.page_period = fewest_to_win.page_period
        and figures.scope = fewest_to_win.scope
        and figures.message_count >= fewest_to_win.message_count
qualify recipient_rank <= 20
