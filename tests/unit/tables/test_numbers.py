"""How numbers are printed: the form of each size, at its bounds, and errors in the same form."""

import math

import pytest

from suite.tables.numbers import number, perplexity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.155, "2.15"),
        (99.994, "99.99"),
        (99.996, "100.0"),
        (557.1749, "557.2"),
        (4338.6, "4338.6"),
        (9999.94, "9999.9"),
        (9999.96, "1.0e+04"),
        (4569943924.0, "4.6e+09"),
        (math.inf, "inf"),
        (math.nan, "–"),
    ],
)
def test_a_perplexity_has_one_form_for_its_size(value, text):
    assert perplexity(value) == text


def test_small_perplexities_have_the_decimals_that_a_table_asks_for():
    assert perplexity(2.3134, 3) == "2.313"
    assert perplexity(144.526, 3) == "144.5"
    assert perplexity(99.9996, 3) == "100.0"
    assert perplexity(99.996, 3) == "99.996"


def test_a_difference_has_its_sign_whatever_its_size():
    assert perplexity(0.004, 3, "+") == "+0.004"
    assert perplexity(-250.36, 3, "+") == "-250.4"
    assert perplexity(2.5e6, 3, "+") == "+2.5e+06"
    assert number(-0.001, 2, "+") == "+0.00"


def test_other_numbers_keep_their_decimals():
    assert number(100) == "100.00"
    assert number(12345.678, 1) == "12345.7"
    assert number(math.nan) == "–"


def test_an_error_has_the_form_of_its_number():
    assert perplexity(49.93, error=1.448) == "49.93 ± 1.45"
    assert perplexity(557.17, error=17.006) == "557.2 ± 17.0"
    assert perplexity(4.57e9, error=1.01e9) == "4.6e+09 ± 1.0e+09"
    assert number(1.57, 2, "+", 0.6) == "+1.57 ± 0.60"
    assert number(1.57, error=math.nan) == "1.57"
    assert number(math.nan, error=0.5) == "–"
