with

daily_costs as (

    select
        *,
        date_trunc('month', usage_date)::date as month
    from {{ ref('daily_costs') }}

),

reads as (

    select * from {{ ref('reads') }}
    where dataset = 'usage_records'

),

costs as (

    select
        month,
        account_sid,
        cost_category,
        max(currency) as currency,
        sum(usage_quantity) as usage_quantity,
        max(usage_unit) as usage_unit,
        sum(cost) as cost
    from daily_costs
    group by all

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
