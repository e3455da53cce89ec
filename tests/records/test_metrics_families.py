from math import prod

import pytest

from bridge.records.metrics_families import FAMILIES


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_family_says_what_it_is_in_base_units(family):
    """prometheus.io/docs/practices/naming: base units, counters end in _total."""
    assert family.name.startswith("sipbridge_")
    assert family.help.endswith(".")
    assert not family.name.endswith(("_ms", "_percent"))
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert (family.kind == "histogram") == bool(family.buckets)
    assert list(family.buckets) == sorted(set(family.buckets))


def test_the_number_of_series_of_one_node_is_bounded_by_the_table():
    """Each label's values and "other"; a histogram has its buckets, +Inf, sum and count."""
    series = sum(
        prod(len(values) + 1 for values in family.labels.values()) * (len(family.buckets) + 3 or 1)
        for family in FAMILIES.values()
    )
    assert series < 900
