with

alerts_of_all_kinds as (

    select * from {{ ref('int_alerts_on_delivery') }}
    union all by name
    select * from {{ ref('int_alerts_on_volume') }}
    union all by name
    select * from {{ ref('int_alerts_on_spending') }}
    union all by name
    select * from {{ ref('int_alerts_on_news') }}
    union all by name
    select * from {{ ref('int_alerts_on_data') }}

),

kinds as (

    select * from {{ ref('alerts') }}

),

-- A name may be an address or a telephone number: messages go to places we do not know.
account_names as (

    select
        account_sid,
        nullif(
            trim(regexp_replace(name, '\S+@\S+|\+?\d[\d ().-]{5,}\d', '…', 'g')), ''
        ) as name
    from {{ source('lake', 'accounts') }}

),

numbers as (

    select
        alerts_of_all_kinds.*,
        kinds.unit,
        kinds.message_en,
        kinds.message_es,
        account_names.name,
        case kinds.unit
            when 'share' then printf('%.1f %%', 100 * alerts_of_all_kinds.observed)
            when 'money'
                then printf('%,.2f ', alerts_of_all_kinds.observed) || coalesce(currency, '')
            when 'hours' then printf('%,.0f h', alerts_of_all_kinds.observed)
            else printf('%,.0f', alerts_of_all_kinds.observed)
        end as observed_text,
        case kinds.unit
            when 'share' then printf('%.1f %%', 100 * alerts_of_all_kinds.expected)
            when 'money'
                then printf('%,.2f ', alerts_of_all_kinds.expected) || coalesce(currency, '')
            when 'hours' then printf('%,.0f h', alerts_of_all_kinds.expected)
            else printf('%,.0f', alerts_of_all_kinds.expected)
        end as expected_text
    from alerts_of_all_kinds
    inner join kinds
        on alerts_of_all_kinds.alert = kinds.alert
    left join account_names
        on alerts_of_all_kinds.account_sid = account_names.account_sid

),

fillings as (

    select
        *,
        coalesce(
            name,
            case when starts_with(account_sid, 'all') then 'All accounts' end,
            account_sid
        ) as account_en,
        coalesce(
            name,
            case when starts_with(account_sid, 'all') then 'Todas las cuentas' end,
            account_sid
        ) as account_es,
        -- 1,234.5 is written 1.234,5 in Spanish
        translate(observed_text, ',.', '.,') as observed_es,
        translate(expected_text, ',.', '.,') as expected_es
    from numbers

)

select
    alert,
    account_sid,
    subject,
    observed::double as observed,
    expected::double as expected,
    badness::double as badness,
    since,
    replace(
        replace(
            replace(
                replace(
                    replace(
                        replace(message_en, '{account}', account_en),
                        '{subject}', subject
                    ),
                    '{observed}', observed_text
                ),
                '{expected}', expected_text
            ),
            '{when}', period
        ),
        '{detail}', coalesce(detail_en, '')
    ) as message_en,
    replace(
        replace(
            replace(
                replace(
                    replace(
                        replace(message_es, '{account}', account_es),
                        '{subject}', subject
                    ),
                    '{observed}', observed_es
                ),
                '{expected}', expected_es
            ),
            '{when}', period
        ),
        '{detail}', coalesce(detail_es, '')
    ) as message_es

from fillings
