{# Whether a date is one of those given, as dates written out: what DuckDB knows before it begins
   takes half as long as what it has to look up, texts beside it too.

   dates: a relation with the column message_date; it is looked up if it is not there yet.
   of_months: whether all dates of their months are meant. #}
{% macro is_touched(column, dates, of_months=false) -%}
  {%- set query -%}
    {% if of_months %}
      select distinct
          unnest(
              generate_series(
                  date_trunc('month', message_date), last_day(message_date), interval 1 day
              )
          )::date as message_date
      from {{ dates }}
      order by all
    {% else %}
      select distinct message_date from {{ dates }} order by all
    {% endif %}
  {%- endset -%}
  {%- if not execute or load_cached_relation(dates) is none -%}
    {{ column }} in ({{ query }})
  {%- else -%}
    {%- set found = run_query(query).columns[0].values() -%}
    {%- if not found -%}
      false
    {%- else -%}
      {{ column }} between date '{{ found[0] }}' and date '{{ found[-1] }}'
      {%- if (found[-1] - found[0]).days >= found | length %}
      and {{ column }} in (date '{{ found | join("', date '") }}')
      {%- endif -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
