{{ config(materialized='table') }}

{% set dates = dates_of_recent_periods(ref('int_last_run')) %}
{% set past = "date '0001-01-01'" %}
{# The months that have all messages of a period, and those all of whose messages are in it. #}
{% set months_of = {
    'all': "month = " ~ past ~ " or month >= " ~ dates.open_month,
    'last_90_days': "month >= date_trunc('month', " ~ dates.last_90_days ~ ")",
    'last_30_days': "month >= date_trunc('month', " ~ dates.last_30_days ~ ")",
    'last_7_days': "month >= date_trunc('month', " ~ dates.last_7_days ~ ")",
} %}
{% set whole_months = "month >= " ~ dates.first_month ~ " and month < " ~ dates.last_month %}
{% set whole_months_of = {'all': months_of['all'], 'last_90_days': whole_months} %}
{% set until = " and message_date < " ~ dates.end_date %}
{% set days_of = {
    'all': "true",
    'last_90_days': "message_date >= " ~ dates.last_90_days ~ until,
    'last_30_days': "message_date >= " ~ dates.last_30_days ~ until,
    'last_7_days': "message_date >= " ~ dates.last_7_days ~ until,
} %}
{# The days of a period that are looked through: those beside whole months. #}
{% set days_beside_months_of = {
    'last_90_days':
        "(message_date < " ~ dates.first_month ~ " or message_date >= " ~ dates.last_month ~ ")",
    'last_30_days': "message_date >= " ~ dates.last_30_days,
    'last_7_days': "message_date >= " ~ dates.last_7_days,
} %}
{% set beside_months %}
message_date >= {{ dates.last_90_days }}
        and message_date < {{ dates.end_date }}
        and (message_date < {{ dates.first_month }} or message_date >= {{ dates.last_30_days }})
{% endset %}
-- Of a long history there are as many recipients as messages. Who may be among the winners is known
-- from little: from the leaders of each month, and from the most that anybody else got. In days
-- they are looked up by the number of their address: it got as much as anybody who has it, or more.
with

account_scopes as (

    select * from {{ ref('account_scopes') }}

),

-- The past, of which all time needs the leaders alone, and the months since.
leaders as not materialized (

    select
        month,
        account_sid,
        recipient,
        recipient_number,
        message_count,
        cutoff,
        last_recipient
    from {{ ref('int_monthly_leaders') }}
    where month >= least({{ dates.open_month }}, date_trunc('month', {{ dates.last_90_days }}))
    union all
    select
        {{ past }} as month,
        account_sid,
        recipient,
        {{ number_of('recipient') }} as recipient_number,
        message_count,
        cutoff,
        last_recipient
    from {{ ref('int_past_leaders') }}

),

cutoffs as materialized (

    select distinct
        month,
        account_sid,
        cutoff,
        last_recipient
    from leaders

),

last_day as (

    select max(message_date) as message_date from {{ ref('int_daily_recipients') }}
    where
        message_date >= {{ dates.last_90_days }}
        and message_date < {{ dates.end_date }}

),

-- Without those that have no message.
periods as (

    select periods.page_period
    from last_day
    inner join (
        values
        ('all', null),
        ('last_90_days', {{ dates.last_90_days }}),
        ('last_30_days', {{ dates.last_30_days }}),
        ('last_7_days', {{ dates.last_7_days }})
    ) as periods (page_period, start_date)
        on periods.page_period = 'all' or last_day.message_date >= periods.start_date

),

cutoffs_by_period as (

    {% for period in months_of %}
        select
            '{{ period }}' as page_period,
            account_scopes.scope,
            sum(cutoffs.cutoff) as cutoff_count,
            max(cutoffs.last_recipient) as last_recipient
        from cutoffs
        inner join account_scopes
            on cutoffs.account_sid = account_scopes.account_sid
        where {{ months_of[period] }}
        group by account_scopes.scope
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

-- Who is likely to win: the first hundred of each account in each month, and in the past. Of them
-- it is known what they got at least.
hundredths as (

    select
        month,
        account_sid,
        list_min(max(message_count, 100)) as message_count
    from leaders
    group by
        month,
        account_sid

),

first_of_each as (

    select leaders.recipient
    from leaders
    inner join hundredths
        on
            leaders.month = hundredths.month
            and leaders.account_sid = hundredths.account_sid
            and leaders.message_count >= hundredths.message_count
    qualify
        row_number() over (
            partition by leaders.month, leaders.account_sid
            order by leaders.message_count desc, leaders.recipient asc
        ) <= 100

),

first_ones as materialized (

    select distinct recipient from first_of_each

),

months_of_first as (

    {% for period in whole_months_of %}
        select
            '{{ period }}' as page_period,
            account_sid,
            recipient,
            message_count
        from leaders
        where
            {{ whole_months_of[period] }}
            and recipient in (select recipient from first_ones)
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

days_of_first as (

    {{ days_of_recipients('first_ones', beside_months) }}

),

known as materialized (

    select
        pieces.page_period,
        account_scopes.scope,
        pieces.recipient,
        sum(pieces.message_count) as message_count
    from (
        select * from months_of_first
        {% for period, condition in days_beside_months_of.items() %}
            union all
            select
                '{{ period }}' as page_period,
                account_sid,
                recipient,
                message_count
            from days_of_first
            where {{ condition }} and message_count > 0
        {% endfor %}
    ) as pieces
    inner join account_scopes
        on pieces.account_sid = account_scopes.account_sid
    group by
        pieces.page_period,
        account_scopes.scope,
        pieces.recipient

),

-- The twentieth of all has no less than the twentieth of these. Where fewer than twenty are known,
-- one message is enough.
fewest_to_win as (

    select
        page_period,
        scope,
        list_min(max(message_count, 20)) as message_count
    from known
    group by
        page_period,
        scope
    having count(*) >= 20

),

-- Who has as many as all cutoffs comes after all leaders that have as many.
before_all_others as (

    select
        known.page_period,
        known.scope,
        count(*) as recipient_count
    from known
    inner join cutoffs_by_period
        on
            known.page_period = cutoffs_by_period.page_period
            and known.scope = cutoffs_by_period.scope
            and known.message_count >= cutoffs_by_period.cutoff_count
            and known.recipient <= cutoffs_by_period.last_recipient
    group by
        known.page_period,
        known.scope

),

bounds as materialized (

    select
        cutoffs_by_period.page_period,
        cutoffs_by_period.scope,
        cutoffs_by_period.cutoff_count,
        coalesce(fewest_to_win.message_count, 1) as fewest_count,
        cutoffs_by_period.cutoff_count
        + if(coalesce(before_all_others.recipient_count, 0) < 20, 1, 0)
        > coalesce(fewest_to_win.message_count, 1) as needs_everybody
    from cutoffs_by_period
    inner join periods
        on cutoffs_by_period.page_period = periods.page_period
    left join fewest_to_win
        on
            cutoffs_by_period.page_period = fewest_to_win.page_period
            and cutoffs_by_period.scope = fewest_to_win.scope
    left join before_all_others
        on
            cutoffs_by_period.page_period = before_all_others.page_period
            and cutoffs_by_period.scope = before_all_others.scope

),

-- Who is no leader got at most all cutoffs. Where these alone may be enough, everybody is added up.
-- First by number, of all accounts together: with addresses and accounts they would not fit into
-- memory.
in_need as materialized (

    select
        bounds.page_period,
        bounds.scope,
        account_scopes.account_sid,
        bounds.fewest_count
    from bounds
    inner join account_scopes
        on bounds.scope = account_scopes.scope
    where bounds.needs_everybody

),

{% for period in months_of %}
    numbers_of_{{ period }} as materialized (

        select recipient_number from {{ ref('int_daily_recipients') }}
        where
            {{ days_of[period] }}
            and account_sid in (
                select account_sid from in_need
                where page_period = '{{ period }}'
            )
        group by recipient_number
        having
            sum(message_count)
            >= (
                select min(fewest_count) from in_need
                where page_period = '{{ period }}'
            )

    ),
{% endfor %}

everybody as (

    {% for period in months_of %}
        select
            '{{ period }}' as page_period,
            days.recipient
        from {{ ref('int_daily_recipients') }} as days
        inner join in_need
            on
                days.account_sid = in_need.account_sid
                and in_need.page_period = '{{ period }}'
        where
            {{ days_of[period] }}
            and days.recipient_number in (select recipient_number from numbers_of_{{ period }})
        group by
            in_need.scope,
            days.recipient
        having sum(days.message_count) >= any_value(in_need.fewest_count)
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

-- Who wins was so far before all cutoffs together, and before one of them, of an account in a
-- month, no less far than on average. So few were that they can be added up.
least_leads as (

    {% for period in months_of %}
        select
            cutoffs.month,
            cutoffs.account_sid,
            (bounds.fewest_count - bounds.cutoff_count)
            / count(*) over (partition by bounds.scope) as lead_count
        from cutoffs
        inner join account_scopes
            on cutoffs.account_sid = account_scopes.account_sid
        inner join bounds
            on account_scopes.scope = bounds.scope
        where
            bounds.page_period = '{{ period }}'
            and not bounds.needs_everybody
            and ({{ months_of[period] }})
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

least_lead as (

    select
        month,
        account_sid,
        min(lead_count) as lead_count
    from least_leads
    group by
        month,
        account_sid

),

numbers_before_most as materialized (

    select distinct leaders.recipient_number
    from leaders
    inner join least_lead
        on
            leaders.month = least_lead.month
            and leaders.account_sid = least_lead.account_sid
            and leaders.message_count - leaders.cutoff >= least_lead.lead_count

),

-- By numbers, as these are added up in half the time: who shares one is one of few.
numbers_of_leaders as (

    select
        account_scopes.scope,
        leaders.recipient_number,
        -- of the past it may be known that somebody got less than the cutoff
        {{ sum_by_period(
            'greatest(leaders.message_count - leaders.cutoff, 0)', months_of, 'lead_count'
        ) }}
    from leaders
    inner join account_scopes
        on leaders.account_sid = account_scopes.account_sid
    where leaders.recipient_number in (select recipient_number from numbers_before_most)
    group by
        account_scopes.scope,
        leaders.recipient_number

),

numbers_that_may_win as materialized (

    select distinct numbers_of_leaders.recipient_number
    from numbers_of_leaders
    inner join bounds
        on
            numbers_of_leaders.scope = bounds.scope
            and case bounds.page_period
                {% for period in months_of %}
                    when '{{ period }}' then numbers_of_leaders.{{ period }}_lead_count
                {% endfor %}
            end + bounds.cutoff_count
            >= bounds.fewest_count
    where not bounds.needs_everybody

),

leaders_once as materialized (

    select
        account_scopes.scope,
        leaders.recipient,
        any_value(leaders.recipient_number) as recipient_number,
        sum(leaders.message_count - leaders.cutoff) filter (where {{ whole_months }})
            as whole_months_lead_count,
        {{ sum_by_period('leaders.message_count - leaders.cutoff', months_of, 'lead_count') }}
    from leaders
    inner join account_scopes
        on leaders.account_sid = account_scopes.account_sid
    where leaders.recipient_number in (select recipient_number from numbers_that_may_win)
    group by
        account_scopes.scope,
        leaders.recipient

),

-- Where it is not known what somebody got from an account in a month, it was the cutoff at most.
may_win as materialized (

    {% for period in months_of %}
        select
            '{{ period }}' as page_period,
            leaders_once.scope,
            leaders_once.recipient,
            leaders_once.recipient_number,
            leaders_once.whole_months_lead_count,
            leaders_once.{{ period }}_lead_count + bounds.cutoff_count as most_count,
            bounds.fewest_count
        from leaders_once
        inner join bounds
            on
                leaders_once.scope = bounds.scope
                and leaders_once.{{ period }}_lead_count + bounds.cutoff_count
                >= bounds.fewest_count
        where bounds.page_period = '{{ period }}' and not bounds.needs_everybody
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

-- What they got on days beside whole months is looked up: then few of them may win.
days_of_numbers as (

    select
        account_scopes.scope,
        days.recipient_number,
        {{ sum_by_period('days.message_count', days_beside_months_of, 'count') }}
    from {{ ref('int_daily_recipients') }} as days
    inner join account_scopes
        on days.account_sid = account_scopes.account_sid
    where
        {{ beside_months }}
        and days.recipient_number in (
            select recipient_number from may_win
            where page_period <> 'all'
        )
    group by
        account_scopes.scope,
        days.recipient_number

),

cutoffs_of_whole_months as (

    select
        account_scopes.scope,
        sum(cutoffs.cutoff) as cutoff_count
    from cutoffs
    inner join account_scopes
        on cutoffs.account_sid = account_scopes.account_sid
    where {{ whole_months }}
    group by account_scopes.scope

),

still_may_win as materialized (

    select may_win.*
    from may_win
    left join cutoffs_of_whole_months
        on may_win.scope = cutoffs_of_whole_months.scope
    left join days_of_numbers
        on
            may_win.scope = days_of_numbers.scope
            and may_win.recipient_number = days_of_numbers.recipient_number
    where
        case may_win.page_period
            when 'all' then may_win.most_count
            when 'last_90_days'
                then
                    coalesce(days_of_numbers.last_90_days_count, 0)
                    + coalesce(may_win.whole_months_lead_count, 0)
                    + coalesce(cutoffs_of_whole_months.cutoff_count, 0)
            when 'last_30_days' then days_of_numbers.last_30_days_count
            when 'last_7_days' then days_of_numbers.last_7_days_count
        end
        >= may_win.fewest_count

),

-- Of those of whom the past as a whole says little its months may say that they had too few. Who is
-- left has to be looked for in all of its days.
of_unknown_past as materialized (

    select * from still_may_win
    where
        page_period = 'all'
        and recipient not in (select recipient from {{ ref('int_past_leaders') }})

),

most_of_past as (

    select
        account_scopes.scope,
        sum(cutoffs_of_months.cutoff) as months_count
    from (
        select distinct
            month,
            account_sid,
            cutoff
        from {{ ref('int_monthly_leaders') }}
        where month < {{ dates.open_month }}
    ) as cutoffs_of_months
    inner join account_scopes
        on cutoffs_of_months.account_sid = account_scopes.account_sid
    group by account_scopes.scope

),

cutoffs_of_past as (

    select
        account_scopes.scope,
        sum(cutoffs.cutoff) as past_count
    from cutoffs
    inner join account_scopes
        on cutoffs.account_sid = account_scopes.account_sid
    where cutoffs.month = {{ past }}
    group by account_scopes.scope

),

leads_of_past as (

    select
        account_scopes.scope,
        leaders_of_months.recipient_number,
        sum(leaders_of_months.message_count - leaders_of_months.cutoff) as lead_count
    from {{ ref('int_monthly_leaders') }} as leaders_of_months
    inner join account_scopes
        on leaders_of_months.account_sid = account_scopes.account_sid
    where
        leaders_of_months.month < {{ dates.open_month }}
        and leaders_of_months.recipient_number in (
            -- as a list, of which DuckDB knows that it is short
            select unnest((select list({{ number_of('recipient') }}) from of_unknown_past))
        )
    group by
        account_scopes.scope,
        leaders_of_months.recipient_number

),

too_few as (

    select of_unknown_past.recipient
    from of_unknown_past
    inner join most_of_past
        on of_unknown_past.scope = most_of_past.scope
    inner join cutoffs_of_past
        on of_unknown_past.scope = cutoffs_of_past.scope
    left join leads_of_past
        on
            of_unknown_past.scope = leads_of_past.scope
            and {{ number_of('of_unknown_past.recipient') }} = leads_of_past.recipient_number
    group by of_unknown_past.recipient
    having
        bool_and(
            of_unknown_past.most_count
            - cutoffs_of_past.past_count
            + most_of_past.months_count
            + coalesce(leads_of_past.lead_count, 0)
            < of_unknown_past.fewest_count
        )

)

select distinct
    page_period,
    recipient
from still_may_win
where page_period <> 'all' or recipient not in (select recipient from too_few)
union
select * from everybody
