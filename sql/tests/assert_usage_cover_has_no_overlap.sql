-- no category of the cover may contain another one of it, at whatever depth
with recursive ancestors as (

    select
        category,
        parent as ancestor
    from {{ ref('usage_categories') }}
    where is_in_cover and parent is not null
    union all
    select
        ancestors.category,
        usage_categories.parent as ancestor
    from ancestors
    inner join {{ ref('usage_categories') }} as usage_categories
        on ancestors.ancestor = usage_categories.category
    where usage_categories.parent is not null

)

select
    ancestors.category,
    ancestors.ancestor

from ancestors
inner join {{ ref('usage_categories') }} as usage_categories
    on ancestors.ancestor = usage_categories.category
where usage_categories.is_in_cover
