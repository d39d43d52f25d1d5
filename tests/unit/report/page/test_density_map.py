"""The density map against a manifest's sparsities."""

from suite.report.page.density_map import density_maps, largest_difference


def manifest(target, **kinds):
    layers = {
        f"model.layers.{block}.mlp.{kind}_proj": sparsity
        for kind, values in kinds.items()
        for block, sparsity in enumerate(values)
    }
    return {"target_sparsity": target, "layer_sparsity": layers}


def test_a_row_a_block_and_a_column_a_kind_coloured_by_the_difference():
    high = manifest(0.6, up=(0.6, 0.55), gate=(0.65,))
    low = manifest(0.5, up=(0.5, 0.7), gate=(0.4,))
    assert round(largest_difference([high, low]), 9) == 20
    first, second = density_maps([high, low])
    assert (first.sparsity, first.target, second.sparsity) == ("0.5", "50.0", "0.6")
    assert first.kinds == ["up", "gate"]
    kept = [[shade and (shade.kept, shade.strength) for shade in row] for row in first.rows]
    assert kept == [[("50.0", 0), ("60.0", 50)], [("30.0", -100), None]]
    assert first.rows[1][0].tip == "Block 1, up: 30.00 % kept, -20.00 points"
    assert second.rows[1][0].strength == 25, "one scale for all maps"


def test_a_budget_that_is_even_has_no_colour():
    (even,) = density_maps([manifest(0.5, up=(0.5, 0.5))])
    assert {shade.strength for row in even.rows for shade in row} == {0}
    assert density_maps([]) == [] and largest_difference([]) == 0
