{# Columns of sums, one a period, named `<period>_<ending>`.

   conditions: for each period, which rows it has. #}
{% macro sum_by_period(value, conditions, ending) -%}
  {%- for period, condition in conditions.items() -%}
    sum({{ value }}) filter (where {{ condition }}) as {{ period }}_{{ ending }}
    {%- if not loop.last %}, {% endif %}
  {%- endfor -%}
{%- endmacro %}
