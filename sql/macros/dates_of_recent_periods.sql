{# Where the last 7, 30 and 90 days begin, where they end (exclusive), and the whole months within
   the last 90, as dates written out (see is_touched). #}
{% macro dates_of_recent_periods(periods) %}
  {% set query %}
    with

    dates as (

        select
            max(start_date) filter (where page_period = 'last_7_days') as last_7_days,
            max(start_date) filter (where page_period = 'last_30_days') as last_30_days,
            max(start_date) filter (where page_period = 'last_90_days') as last_90_days,
            max(end_date) filter (where period like 'last_%') as end_date
        from {{ periods }}

    )

    select
        *,
        (date_trunc('month', last_90_days - 1) + interval 1 month)::date as first_month,
        date_trunc('month', end_date)::date as last_month
    from dates
  {% endset %}
  {% set is_there = execute and load_cached_relation(periods) is not none %}
  {% set found = run_query(query).rows[0] if is_there else {} %}
  {{ return({
      'last_7_days': written_out(found['last_7_days']),
      'last_30_days': written_out(found['last_30_days']),
      'last_90_days': written_out(found['last_90_days']),
      'end_date': written_out(found['end_date']),
      'first_month': written_out(found['first_month']),
      'last_month': written_out(found['last_month']),
  }) }}
{% endmacro %}


{% macro written_out(date) -%}
{{ "date '" ~ date ~ "'" if date else 'null::date' }}
{%- endmacro %}
