"""Figures of the suite: each is a function of its module's name that returns a matplotlib figure.

Its arguments are `results`, or the manifests, masks or journals of some cells, and `context`.
`leap_suite.figures.style.draw` saves it as SVG, PDF or PNG, byte-identical for equal inputs, with
the note of `context` below it. A figure is as wide as a column or the page. Whatever differs by
colour also differs by marker, so that figures stay readable in grey.
"""
