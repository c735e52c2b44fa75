{# Bounds are inclusive; null is within any. #}
{% test within_bounds(model, bounds) %}
SELECT *
FROM {{ model }}
WHERE false
{%- for column, bound in bounds.items() %}
{%- if 'least' in bound %}
    OR {{ column }} < {{ bound['least'] }}
{%- endif %}
{%- if 'most' in bound %}
    OR {{ column }} > {{ bound['most'] }}
{%- endif %}
{%- endfor %}
{% endtest %}
