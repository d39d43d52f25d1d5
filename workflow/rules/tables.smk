# Tables of the grid and of studies; each is written by the function of its name in leap_suite.tables.

OF_GRID = [
    name
    for name, table in TABLES.items()
    if (table.of_grid and (PUBLISHED or name != "against_published"))
    or (table.measured and config["speed"]["grid"])
]
# name, function, and study ("" for the grid)
SHOWN_TABLES = [(name, name, "") for name in OF_GRID] + [
    (study, studies.section(study, config)["table"], study) for study in STUDIES
]
# made by their own target only
UNASKED = [
    (name, name, "") for name, table in TABLES.items() if table.measured and name not in OF_GRID
]


rule tables:
    input:
        [files_of_table(name, function) for name, function, study in SHOWN_TABLES if not study],
    localrule: True
