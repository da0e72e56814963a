{# The last clause of a table by day that is computed for the first time, for many days at once: it
   puts their rows in order. What a day's run deletes and looks at then stands together; else it is
   strewn over the whole table, all of which is read and written again. Few days are not worth sorting.

   dates: a relation with the column message_date, one row per day to compute. #}
{% macro in_order_of(column, dates) -%}
  {%- if execute and not is_incremental() and load_cached_relation(dates) is not none -%}
    {%- if run_query('select count(*) from ' ~ dates).columns[0].values()[0] > 62 -%}
      order by {{ column }}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
