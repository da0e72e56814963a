{{ config(materialized='table') }}

select day as message_date from {{ source('lake', 'touched_days') }}
where is_changed
