# Tables of the grid and of studies; each is written by the function of its name in suite.tables.

from suite.tables.published import FILES as NUMBERS

OF_GRID = [
    name
    for name, table in TABLES.items()
    if table.of_grid and (PUBLISHED or name != "against_published")
]
# name, function, and study ("" for the grid)
SHOWN_TABLES = [(name, name, "") for name in OF_GRID] + [
    (study, studies.section(study, config)["table"], study) for study in STUDIES
]


for NAME, TABLE, STUDY in SHOWN_TABLES:

    rule:
        name:
            f"table_{NAME}"
        input:
            **frames_of(STUDY),
        output:
            report(
                files_of_table(NAME, TABLE)[0],
                category="Tables",
                labels={"table": NAME},
                caption=f"../report/{TABLE}.rst",
            ),
            files_of_table(NAME, TABLE)[1:],
        log:
            f"{RESULTS}/logs/tables/{NAME}.log",
        localrule: True
        conda:
            "../../envs/suite.yaml"
        params:
            kind="table",
            function=TABLE,
            told=lambda wildcards, study=STUDY, name=NAME: told(study, name),
            recipes=lambda wildcards, study=STUDY: recipes_mark(study),
            code=shown(f"tables.{TABLE}", data=NUMBERS),
        message:
            f"Writing table {NAME}"
        script:
            "../scripts/show.py"


rule tables:
    input:
        [files_of_table(name, function) for name, function, study in SHOWN_TABLES if not study],
    localrule: True
