{# dbt-duckdb builds a relation under another name, renames the old one and it, and drops the old
   one, so that whoever reads meanwhile finds one of them. Nobody reads the build file: what is
   published is a copy of it, made once every model and test has passed. So relations are replaced
   in place, in one statement, and a run spends half as long in dbt (docs/adr/0010). #}

{% materialization table, adapter='duckdb' %}
  {% set target = replace_relation('table') %}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% materialization view, adapter='duckdb' %}
  {% set target = replace_relation('view') %}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{# Appends; what is to be replaced, a pre-hook of the model deletes in the same transaction. With
   strategy `append` it is deleted first, so that nothing is held beside the table; with
   `delete+insert` the model still reads of itself what is deleted after. #}
{% materialization incremental, adapter='duckdb' %}
  {% if is_incremental() %}
    {% set target = this.incorporate(type='table') %}
    {% if config.get('incremental_strategy') == 'delete+insert' %}
      {% set rows = 'rows_of_' ~ this.identifier %}
      {% call statement('rows') -%}
        create or replace temporary table {{ rows }} as ({{ compiled_code }})
      {%- endcall %}
      {{ run_hooks(pre_hooks) }}
      {% call statement('main') -%}
        insert into {{ target }} by name from temp.{{ rows }}
      {%- endcall %}
      {% call statement('no_rows') -%}
        drop table temp.{{ rows }}
      {%- endcall %}
    {% else %}
      {{ run_hooks(pre_hooks) }}
      {% call statement('main') -%}
        insert into {{ target }} by name ({{ compiled_code }})
      {%- endcall %}
    {% endif %}
    {% do assert_as_agreed('select * from ' ~ target) %}
  {% else %}
    {% set target = replace_relation('table') %}
  {% endif %}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}


{% macro replace_relation(type) %}
  {% set existing, target = load_cached_relation(this), this.incorporate(type=type) %}
  {% if existing is not none and existing.type != type %}
    {% do adapter.drop_relation(existing) %}
  {% endif %}
  {% if type == 'table' and model.columns.values() | selectattr('meta.compression') | list %}
    {% do assert_as_agreed(compiled_code) %}
    {% do create_compressed(target) %}
  {% else %}
    {% call statement('main') -%}
      create or replace {{ type }} {{ target }} as ({{ compiled_code }})
    {%- endcall %}
    {% do assert_as_agreed('select * from ' ~ target) %}
  {% endif %}
  {% do describe(target) %}
  {{ return(target) }}
{% endmacro %}


{# DuckDB tries every form of compression on all values of a text before it takes one. Where it always
   takes the same, a column's meta may say which, of those that the build file's storage version has:
   to store many rows of texts takes a quarter less. Values it cannot take are stored as they are. #}
{% macro create_compressed(relation) %}
  {% call statement('main') -%}
    create or replace table {{ relation }} (
      {% for column in model.columns.values() -%}
        {{ column.name }} {{ column.data_type }}
        {%- if column.meta.compression %} using compression {{ column.meta.compression }}{% endif %}
        {%- if not loop.last %}, {% endif %}
      {% endfor -%}
    );
    insert into {{ relation }} by name ({{ compiled_code }})
  {%- endcall %}
{% endmacro %}


{# The model's contract, held against what was made: to ask that costs nothing, while to plan its
   query once more only for the names and types of its columns costs as much as small tables do. Only
   what is made of agreed columns first is held against it before: the insert would cast all else. #}
{% macro assert_as_agreed(query) %}
  {% if config.get('contract').enforced %}
    {{ get_assert_columns_equivalent(query) }}
  {% endif %}
{% endmacro %}


{# All comments of a relation at once; its columns are those of its contract. #}
{% macro describe(relation) %}
  {% if config.persist_relation_docs() %}
    {% call statement('comments') -%}
      {{ alter_relation_comment(relation, model.description) }}
      {% for column in model.columns.values() -%}
        comment on column {{ relation }}.{{ column.name }} is {{ duckdb_escape_comment(column.description) }};
      {% endfor %}
    {%- endcall %}
  {% endif %}
{% endmacro %}
