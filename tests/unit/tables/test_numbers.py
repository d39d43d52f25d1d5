"""How numbers and tables are printed: the form of each size, errors, signs, and Markdown."""

import math

import pytest

from leap_suite.tables.entries import escaped, number, perplexity, table


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        # one form for its size, at the bounds
        (perplexity(2.155), "2.15"),
        (perplexity(99.996), "100.0"),
        (perplexity(9999.96), "1.0e+04"),
        (perplexity(4569943924.0), "4.6e+09"),
        (perplexity(math.inf), "inf"),
        (perplexity(math.nan), "–"),
        # the decimals that a table asks for
        (perplexity(144.526, 3), "144.5"),
        (perplexity(99.996, 3), "99.996"),
        # a difference with its sign
        (perplexity(0.004, 3, "+"), "+0.004"),
        (perplexity(2.5e6, 3, "+"), "+2.5e+06"),
        (number(-0.001, 2, "+"), "+0.00"),
        (number(12345.678, 1), "12345.7"),
        # an error in the form of its number
        (perplexity(557.17, error=17.006), "557.2 ± 17.0"),
        (perplexity(4.57e9, error=1.01e9), "4.6e+09 ± 1.0e+09"),
        (number(1.57, 2, "+", 0.6), "+1.57 ± 0.60"),
        (number(1.57, error=math.nan), "1.57"),
        (number(math.nan, error=0.5), "–"),
    ],
)
def test_a_number_has_its_form(printed, text):
    assert printed == text


def test_a_markdown_table_is_headings_a_rule_and_rows_of_one_width():
    lines = ["| Model | Value |", "| --- | ---: |", "| a | 1 |", "| **b** | 2 |"]
    assert table(["Model", "Value"], [["a", "1"], ["**b**", "2"]], "lr") == lines
    with pytest.raises(ValueError, match=r"a row of 1 in a table of 2"):
        table(["a", "b"], [["1"]], "lr")
    assert escaped("a|b_c*`<d>[#]\\") == r"a\|b\_c\*\`\<d\>\[\#\]\\"
