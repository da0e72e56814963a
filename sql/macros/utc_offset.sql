{# Minutes east of UTC as people write them: +05:30. #}
{% macro utc_offset(minutes) -%}
case when {{ minutes }} < 0 then '-' else '+' end
|| lpad((abs({{ minutes }}) // 60)::varchar, 2, '0')
|| ':'
|| lpad((abs({{ minutes }}) % 60)::varchar, 2, '0')
{%- endmacro %}
