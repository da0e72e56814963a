{# The first of so many days, of which the last is given. #}
{% macro first_of_last(days, last_date) -%}
{{ last_date }} + 1 - {{ days }}
{%- endmacro %}


{# Where the last 7, 30 and 90 local days up to the last run's begin, where they end (exclusive), where
   the whole months within the last 90 begin and end (exclusive), and the month before the last run's, as
   dates written out (see is_touched).

   last_run: int_last_run. #}
{% macro dates_of_recent_periods(last_run) %}
  {% set query %}
    with

    dates as (

        select
            {{ first_of_last(7, 'local_date') }} as last_7_days,
            {{ first_of_last(30, 'local_date') }} as last_30_days,
            {{ first_of_last(90, 'local_date') }} as last_90_days,
            local_date + 1 as end_date
        from {{ last_run }}

    )

    select
        *,
        (date_trunc('month', last_90_days - 1) + interval 1 month)::date as first_month,
        date_trunc('month', end_date)::date as last_month,
        (date_trunc('month', end_date - 1) - interval 1 month)::date as open_month
    from dates
  {% endset %}
  {% set is_there = execute and load_cached_relation(last_run) is not none %}
  {% set found = run_query(query).rows[0] if is_there else {} %}
  {{ return({
      'last_7_days': written_out(found['last_7_days']),
      'last_30_days': written_out(found['last_30_days']),
      'last_90_days': written_out(found['last_90_days']),
      'end_date': written_out(found['end_date']),
      'first_month': written_out(found['first_month']),
      'last_month': written_out(found['last_month']),
      'open_month': written_out(found['open_month']),
  }) }}
{% endmacro %}


{% macro written_out(date) -%}
{{ "date '" ~ date ~ "'" if date else 'null::date' }}
{%- endmacro %}
