-- depends_on: {{ ref('int_changed_dates') }}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{% if is_incremental() %}delete from {{ this }} where month in (select date_trunc('month', message_date) from {{ ref('int_changed_dates') }}) or (scope, account_set) not in (select (scope, account_set) from {{ ref('int_account_sets') }} where is_all){% endif %}"
) }}

with

scopes_of_all as (

    select
        scope,
        account_sid
    from {{ ref('account_scopes') }}
    where is_all

),

-- Only the months deleted above: all of them in an empty build file.
months as materialized (

    select distinct
        leaders.month,
        scopes_of_all.scope
    from {{ ref('int_monthly_leaders') }} as leaders
    inner join scopes_of_all
        on leaders.account_sid = scopes_of_all.account_sid
    {% if is_incremental() %}
        where (leaders.month, scopes_of_all.scope) not in (select (month, scope) from {{ this }})
    {% endif %}

),

leaders_of_accounts as materialized (

    select
        leaders.month,
        scopes_of_all.scope,
        leaders.account_sid,
        leaders.recipient,
        leaders.message_count,
        leaders.cutoff,
        leaders.last_recipient
    from {{ ref('int_monthly_leaders') }} as leaders
    inner join months
        on leaders.month = months.month
    inner join scopes_of_all
        on
            leaders.account_sid = scopes_of_all.account_sid
            and months.scope = scopes_of_all.scope

),

-- What anybody who is no leader got at most, of all accounts together.
cutoffs as materialized (

    select
        month,
        scope,
        sum(cutoff) as message_count,
        max(last_recipient) as last_recipient
    from (
        select distinct
            month,
            scope,
            account_sid,
            cutoff,
            last_recipient
        from leaders_of_accounts
    ) as cutoffs_of_accounts
    group by
        month,
        scope

),

-- Who leads with one account may have got as much as its cutoff with each of the others.
leaders as materialized (

    select
        month,
        scope,
        recipient,
        sum(message_count) as message_count,
        sum(cutoff) as cutoff_count
    from leaders_of_accounts
    group by
        month,
        scope,
        recipient

),

-- The twentieth of all has no less than the twentieth of these.
fewest_known as (

    select
        month,
        scope,
        list_min(max(message_count, 20)) as message_count
    from leaders
    group by
        month,
        scope
    having count(*) >= 20

),

-- Who has as many as all cutoffs comes after all leaders that have as many.
before_all_others as (

    select
        leaders.month,
        leaders.scope,
        count(*) as recipient_count
    from leaders
    inner join cutoffs
        on
            leaders.month = cutoffs.month
            and leaders.scope = cutoffs.scope
            and leaders.message_count >= cutoffs.message_count
            and leaders.recipient <= cutoffs.last_recipient
    group by
        leaders.month,
        leaders.scope

),

bounds as materialized (

    select
        cutoffs.month,
        cutoffs.scope,
        cutoffs.message_count as cutoff_count,
        coalesce(fewest_known.message_count, 1) as fewest_count,
        cutoffs.message_count
        + if(coalesce(before_all_others.recipient_count, 0) < 20, 1, 0)
        > coalesce(fewest_known.message_count, 1) as needs_everybody
    from cutoffs
    left join fewest_known
        on
            cutoffs.month = fewest_known.month
            and cutoffs.scope = fewest_known.scope
    left join before_all_others
        on
            cutoffs.month = before_all_others.month
            and cutoffs.scope = before_all_others.scope

),

-- Days rather than months: where these are known, DuckDB reads no others.
days_of_months as (

    select
        month,
        scope,
        unnest(generate_series(month, last_day(month), interval 1 day))::date as message_date
    from cutoffs

),

days as not materialized (

    select
        days.*,
        days_of_months.month,
        days_of_months.scope
    from {{ ref('int_daily_recipients') }} as days
    inner join scopes_of_all
        on days.account_sid = scopes_of_all.account_sid
    inner join days_of_months
        on
            days.message_date = days_of_months.message_date
            and scopes_of_all.scope = days_of_months.scope

),

-- Where the cutoffs alone may be enough, everybody is added up. First by number, of all accounts
-- together: with addresses they would take a lot of memory.
numbers as materialized (

    select
        days.month,
        days.recipient_number
    from days
    inner join bounds
        on
            days.month = bounds.month
            and days.scope = bounds.scope
            and bounds.needs_everybody
    group by
        days.month,
        days.recipient_number
    having sum(days.message_count) >= min(bounds.fewest_count)

),

everybody as (

    select
        days.month,
        days.recipient
    from days
    semi join numbers
        on
            days.month = numbers.month
            and days.recipient_number = numbers.recipient_number
    inner join bounds
        on
            days.month = bounds.month
            and days.scope = bounds.scope
    group by
        days.month,
        days.scope,
        days.recipient
    having sum(days.message_count) >= any_value(bounds.fewest_count)

),

candidates as materialized (

    select
        leaders.month,
        leaders.recipient
    from leaders
    inner join bounds
        on
            leaders.month = bounds.month
            and leaders.scope = bounds.scope
            and leaders.message_count
            + bounds.cutoff_count
            - leaders.cutoff_count
            >= bounds.fewest_count
    union
    select * from everybody

),

-- Numbers first: few others share one.
days_of_candidates as materialized (

    select * from days
    where recipient_number in (select {{ number_of('recipient') }} from candidates)

),

-- Each once, with its replies.
winners as (

    select
        days.month,
        days.scope,
        days.recipient,
        nullif(max(days.country), '') as country,
        sum(days.message_count) as message_count,
        sum(days.delivered_count) as delivered_count,
        sum(days.failed_count) as failed_count,
        sum(days.message_cost) as message_cost,
        sum(days.reply_count) as reply_count,
        max(days.last_message_at) as last_message_at,
        row_number() over (
            partition by days.month, days.scope
            order by sum(days.message_count) desc, days.recipient asc
        ) as recipient_rank
    from days_of_candidates as days
    semi join candidates
        on
            days.month = candidates.month
            and days.recipient = candidates.recipient
    group by
        days.month,
        days.scope,
        days.recipient
    having sum(days.message_count) > 0
    qualify recipient_rank <= 20

)

select
    winners.month,
    winners.scope,
    account_sets.account_set,
    winners.recipient_rank::integer as recipient_rank,
    winners.recipient,
    winners.country,
    winners.message_count::bigint as message_count,
    winners.delivered_count::bigint as delivered_count,
    winners.failed_count::bigint as failed_count,
    winners.message_cost::decimal(18, 6) as message_cost,
    winners.reply_count::bigint as reply_count,
    winners.last_message_at

from winners
inner join {{ ref('int_account_sets') }} as account_sets
    on winners.scope = account_sets.scope
