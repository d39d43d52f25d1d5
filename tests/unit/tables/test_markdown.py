"""Markdown tables: their lines, and what is refused."""

import pytest

from suite.tables.markdown import escaped, table


def test_a_table_is_headings_a_rule_and_rows():
    assert table(["Model", "Value"], [["a", "1"], ["**b**", "2"]], "lr") == [
        "| Model | Value |",
        "| --- | ---: |",
        "| a | 1 |",
        "| **b** | 2 |",
    ]


@pytest.mark.parametrize(("headings", "row"), [(["a"], ["1", "2"]), (["a", "b"], ["1"])])
def test_rows_of_another_width_are_refused(headings, row):
    with pytest.raises(ValueError, match=r"a row of 1 in a table of 2"):
        table(headings, [row], "lr")


def test_signs_of_markdown_are_escaped():
    assert escaped("a|b_c*`<d>[#]\\") == r"a\|b\_c\*\`\<d\>\[\#\]\\"
