{# An instant in UTC. `at time zone 'UTC'` asks a calendar for each one, ten times as long. #}
{% macro utc_time(instant) -%}
make_timestamp(epoch_us({{ instant }}))
{%- endmacro %}
{# An instant in the report time zone. That too takes a calendar as long as a message takes to be
   read; but while clocks stand still, local time is a constant away. The stretches in which they do,
   around some dates, are written out, those of ten years at most: more would take as long. In the
   hour of a change, and outside, the calendar is asked.

   dates: a relation with the column message_date; the calendar alone is asked if there is none yet. #}
{% macro local_time(instant, dates) -%}
  {%- set query -%}
    with

    hours as (

        select
            hour_at,
            date_diff(
                'second', hour_at at time zone 'UTC', hour_at at time zone '{{ var("timezone") }}'
            ) as seconds
        from (
            select
                unnest(
                    generate_series(
                        (greatest(min(message_date), max(message_date) - 3650) - 1)::timestamp
                        at time zone 'UTC',
                        (max(message_date) + 2)::timestamp at time zone 'UTC',
                        interval 1 hour
                    )
                ) as hour_at
            from {{ dates }}
        )

    ),

    changes as (

        select
            *,
            seconds is distinct from lag(seconds) over (order by hour_at) as is_change
        from hours

    ),

    stretches as (

        select
            *,
            sum(is_change::integer) over (order by hour_at) as stretch
        from changes

    )

    select
        min(hour_at)::varchar as begins,
        max(hour_at)::varchar as ends,
        seconds
    from stretches
    group by
        stretch,
        seconds
    order by stretch
  {%- endset -%}
  {%- set is_there = execute and dates is not none and load_cached_relation(dates) is not none -%}
  {%- set stretches = run_query(query).rows if is_there else [] -%}
  {%- if not stretches -%}
    {{ instant }} at time zone '{{ var("timezone") }}'
  {%- else -%}
    case
    {%- for stretch in stretches %}
      when {{ instant }} >= timestamptz '{{ stretch.begins }}' and {{ instant }} < timestamptz '{{ stretch.ends }}'
        then {{ utc_time(instant) }} + interval '{{ stretch.seconds }} seconds'
    {%- endfor %}
      else {{ instant }} at time zone '{{ var("timezone") }}'
    end
  {%- endif -%}
{%- endmacro %}
