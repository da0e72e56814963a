{# A number of an address, which others may have too: to look through numbers takes DuckDB a fifth of
   the time it takes to look through texts. #}
{% macro number_of(recipient) -%}
(hash({{ recipient }}) >> 32)::uinteger
{%- endmacro %}


{# Rows of int_daily_recipients that are of some recipients: found by their numbers first, of which
   some are of others.

   recipients: a relation with the column recipient.
   condition: which days. #}
{% macro days_of_recipients(recipients, condition) -%}
with

found as materialized (

    select * from {{ ref('int_daily_recipients') }}
    where
        {{ condition }}
        and recipient_number in (select {{ number_of('recipient') }} from {{ recipients }})

)

select * from found
where recipient in (select recipient from {{ recipients }})
{%- endmacro %}
