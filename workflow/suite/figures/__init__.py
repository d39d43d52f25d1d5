"""Figures of the suite, each drawn from a table that the suite wrote.

Every figure is deterministic: the same table gives the same bytes. It is as wide as a column or
the page, and stays readable in grey, because whatever is told apart by colour has its own marker
as well. Each function takes `note`, a line on what the numbers are of, such as miniature models,
which is shown below the panels ("" for none) and so goes wherever the figure goes.
"""
