"""Formats of numbers in Markdown, LaTeX and figures.

NaN is a dash. `sign` "+" signs positive numbers too. An `error` follows in the number's format.
"""

import math

NONE = "–"
PLUS_MINUS = " ± "


def number(value: float, decimals: int = 2, sign: str = "", error: float = math.nan) -> str:
    """Fixed decimals, never "-0.00"."""
    return _printed(value, f"z.{decimals}f", sign, error)


def perplexity(value: float, decimals: int = 2, sign: str = "", error: float = math.nan) -> str:
    """As `number` below 100, one decimal below 10,000, above as 4.6e+09."""
    if abs(round(value, 1)) >= 1e4:
        return _printed(value, ".1e", sign, error)
    return number(value, 1 if abs(round(value, decimals)) >= 100 else decimals, sign, error)


def _printed(value: float, form: str, sign: str, error: float) -> str:
    if math.isnan(value):
        return NONE
    text = f"{value:{sign}{form}}"
    return text if math.isnan(error) else f"{text}{PLUS_MINUS}{error:{form}}"
