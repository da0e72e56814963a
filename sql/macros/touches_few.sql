{# Whether so few days changed that it is less to look for their recipients in a month than to
   compute the month anew. Those of many days would not fit into memory.

   dates: a relation with one row per day that changed. #}
{% macro touches_few(dates) %}
  {% set is_there = execute and load_cached_relation(dates) is not none %}
  {{ return(
      is_there and run_query('select count(*) from ' ~ dates).columns[0].values()[0] <= 10
  ) }}
{% endmacro %}
