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
{% set whole_months_of = {
    'all': months_of['all'],
    'last_90_days': "month >= " ~ dates.first_month ~ " and month < " ~ dates.last_month,
} %}
{% set until = " and message_date < " ~ dates.end_date %}
{% set days_of = {
    'all': "true",
    'last_90_days': "message_date >= " ~ dates.last_90_days ~ until,
    'last_30_days': "message_date >= " ~ dates.last_30_days ~ until,
    'last_7_days': "message_date >= " ~ dates.last_7_days ~ until,
} %}
{% set beside_months %}
message_date >= {{ dates.last_90_days }}
        and message_date < {{ dates.end_date }}
        and (message_date < {{ dates.first_month }} or message_date >= {{ dates.last_30_days }})
{% endset %}
-- Of a long history there are as many recipients as messages. Who may be among the winners is known
-- from little: from the leaders of each month, and from the most that anybody else got.
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

    select
        periods.page_period,
        periods.start_date
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

-- Each once, with all periods.
leaders_once as materialized (

    select
        account_scopes.scope,
        leaders.recipient,
        {% for period in months_of %}
            sum(leaders.message_count) filter (where {{ months_of[period] }})
                as {{ period }}_count,
            sum(leaders.cutoff) filter (where {{ months_of[period] }})
                as {{ period }}_cutoff_count,
        {% endfor %}
        {% for period in whole_months_of %}
            sum(leaders.message_count) filter (where {{ whole_months_of[period] }})
                as {{ period }}_known_count
            {%- if not loop.last %},{% endif %}
        {% endfor %}
    from leaders
    inner join account_scopes
        on leaders.account_sid = account_scopes.account_sid
    group by
        account_scopes.scope,
        leaders.recipient

),

first_of_months as (

    select recipient from {{ ref('top_recipients') }}
    where
        month = date_trunc('month', {{ dates.last_90_days }})
        or month >= date_trunc('month', {{ dates.last_30_days }})

),

-- Of the 90 days those beside whole months; those after them are of the last 30.
days as (

    {{ days_of_recipients('first_of_months', beside_months) }}

),

-- What the first of the months got on these days.
days_of_first as (

    select
        account_scopes.scope,
        days.recipient,
        sum(days.message_count) as last_90_days,
        sum(days.message_count) filter (
            where days.message_date >= {{ dates.last_30_days }}
        ) as last_30_days,
        sum(days.message_count) filter (
            where days.message_date >= {{ dates.last_7_days }}
        ) as last_7_days
    from days
    inner join account_scopes
        on days.account_sid = account_scopes.account_sid
    where days.message_count > 0
    group by
        account_scopes.scope,
        days.recipient

),

days_by_period as (

    unpivot days_of_first
    on last_90_days, last_30_days, last_7_days
    into name page_period value message_count

),

-- The twentieth of all has no less than the twentieth of these, of whom it is known what they got
-- at least.
known as not materialized (

    {% for period in whole_months_of %}
        select
            '{{ period }}' as page_period,
            scope,
            recipient,
            {{ period }}_known_count as message_count
        from leaders_once
        where {{ period }}_known_count > 0
        union all
    {% endfor %}
    select
        page_period,
        scope,
        recipient,
        message_count
    from days_by_period

),

fewest_known as (

    {% for period in whole_months_of %}
        select
            '{{ period }}' as page_period,
            scope,
            list_min(max({{ period }}_known_count, 20)) as message_count
        from leaders_once
        where {{ period }}_known_count > 0
        group by scope
        having count(*) >= 20
        union all
    {% endfor %}
    select
        page_period,
        scope,
        list_min(max(message_count, 20)) as message_count
    from days_by_period
    group by
        page_period,
        scope
    having count(*) >= 20

),

-- Where fewer than twenty are known, one message is enough.
fewest_to_win as (

    select
        page_period,
        scope,
        max(message_count) as message_count
    from fewest_known
    group by
        page_period,
        scope

),

-- Who has as many as all cutoffs comes after all leaders that have as many.
before_all_others as (

    select
        known.page_period,
        known.scope,
        count(distinct known.recipient) as recipient_count
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

may_win as materialized (

    {% for period in months_of %}
        select
            '{{ period }}' as page_period,
            leaders_once.scope,
            leaders_once.recipient,
            leaders_once.{{ period }}_count
            + bounds.cutoff_count
            - leaders_once.{{ period }}_cutoff_count as most_count,
            bounds.fewest_count
        from leaders_once
        inner join bounds
            on
                leaders_once.scope = bounds.scope
                and leaders_once.{{ period }}_count
                + bounds.cutoff_count
                - leaders_once.{{ period }}_cutoff_count
                >= bounds.fewest_count
        where bounds.page_period = '{{ period }}'
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

-- Of those of whom the past as a whole says little its months may say that they had too few. Who is
-- left has to be looked for in all of its days.
of_unknown_past as materialized (

    select * from may_win
    where
        page_period = 'all'
        and recipient not in (select recipient from {{ ref('int_past_leaders') }})

),

most_of_past as (

    select
        account_scopes.scope,
        sum(cutoffs_of_months.message_count) as months_count
    from {{ ref('int_monthly_cutoffs') }} as cutoffs_of_months
    inner join account_scopes
        on cutoffs_of_months.account_sid = account_scopes.account_sid
    where cutoffs_of_months.month < {{ dates.open_month }}
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
        leaders_of_months.recipient,
        sum(leaders_of_months.message_count - leaders_of_months.cutoff) as lead_count
    from {{ ref('int_monthly_leaders') }} as leaders_of_months
    inner join account_scopes
        on leaders_of_months.account_sid = account_scopes.account_sid
    where
        leaders_of_months.month < {{ dates.open_month }}
        and leaders_of_months.recipient in (select recipient from of_unknown_past)
    group by
        account_scopes.scope,
        leaders_of_months.recipient

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
            and of_unknown_past.recipient = leads_of_past.recipient
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
from may_win
where page_period <> 'all' or recipient not in (select recipient from too_few)
union
select * from everybody
