with

usage_records as (

    select
        *,
        date_trunc('month', usage_date)::date as month
    from {{ source('lake', 'usage_records') }}

),

usage_categories as (

    select * from {{ ref('usage_categories') }}

),

reads as (

    select * from {{ ref('reads') }}
    where dataset = 'usage_records'

),

costs_of_cover as (

    select
        usage_records.month,
        usage_records.account_sid,
        usage_records.category as cost_category,
        max(usage_records.currency) as currency,
        sum(usage_records.usage_quantity) as usage_quantity,
        max(usage_records.usage_unit) as usage_unit,
        sum(usage_records.cost) as cost
    from usage_records
    inner join usage_categories
        on usage_records.category = usage_categories.category
    where usage_categories.is_in_cover
    group by all

),

totals as (

    select
        month,
        account_sid,
        max(currency) as currency,
        sum(cost) as cost
    from usage_records
    where category = 'totalprice'
    group by all

),

covers as (

    select
        month,
        account_sid,
        sum(cost) as cost
    from costs_of_cover
    group by all

),

costs as (

    select * from costs_of_cover
    union all
    select
        totals.month,
        totals.account_sid,
        'other' as cost_category,
        totals.currency,
        null as usage_quantity,
        null as usage_unit,
        totals.cost - coalesce(covers.cost, 0) as cost
    from totals
    left join covers
        on
            totals.month = covers.month
            and totals.account_sid = covers.account_sid

),

months as (

    select distinct
        month,
        account_sid,
        month::timestamp at time zone 'UTC' as starts_at,
        (month + interval 1 month)::timestamp at time zone 'UTC' as ends_at
    from costs

),

months_settled as (

    select
        months.month,
        months.account_sid
    from months
    inner join reads
        on
            months.account_sid = reads.account_sid
            and reads.read_from < months.ends_at
            and reads.read_until > months.starts_at
    group by
        months.month,
        months.account_sid,
        months.starts_at,
        months.ends_at
    having
        min(reads.unbroken_from) <= months.starts_at
        and max(reads.unbroken_until) >= months.ends_at
        and count(distinct reads.unbroken_from) = 1
        and min(reads.last_read_at) >= months.ends_at + interval 3 day

)

select
    costs.month,
    costs.account_sid,
    costs.cost_category,
    costs.currency,
    costs.usage_quantity::decimal(24, 6) as usage_quantity,
    costs.usage_unit,
    costs.cost::decimal(18, 6) as cost,
    months_settled.month is not null as is_settled

from costs
left join months_settled
    on
        costs.month = months_settled.month
        and costs.account_sid = months_settled.account_sid
