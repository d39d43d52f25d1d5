"""Figures of the suite, each a function of its name in a module of its name.

It takes `results`, or the manifests, masks or journals of some cells, with `told`, whose note on
what the numbers are of stands below the panels and so goes wherever the figure goes, and writes
`outputs`, whose formats follow their suffixes: .svg, .pdf or .png. Every figure is deterministic:
the same results give the same bytes. It is as wide as a column or the page, and stays readable in
grey, because whatever is told apart by colour has its own marker as well.
"""
