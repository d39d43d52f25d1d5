# A rule for every table and figure.

from leap_suite.tables.published import FILES as NUMBERS

# kind, name, function, title, study, inputs
DISPLAYS = [("figure", *figure) for figure in DRAWN]
DISPLAYS += [
    ("table", name, function, name, study, frames_of(study) if study else shown_of(name))
    for name, function, study in [*SHOWN_TABLES, *UNASKED]
]

for KIND, NAME, FUNCTION, TITLE, STUDY, INPUTS in DISPLAYS:
    FILES = files_of_table(NAME, FUNCTION) if KIND == "table" else formats(NAME)

    rule:
        name:
            f"{KIND}_{NAME}"
        input:
            **INPUTS,
        output:
            report(
                FILES[0],
                category=f"{KIND.capitalize()}s",
                labels={KIND: TITLE},
                caption=f"../report/{FUNCTION}.rst",
            ),
            FILES[1:],
        log:
            f"{RESULTS}/logs/{KIND}s/{NAME}.log",
        localrule: True
        conda:
            "../../envs/suite.yaml"
        params:
            kind=KIND,
            function=FUNCTION,
            told=lambda wildcards, study=STUDY, name=NAME: told(study, study or name),
            recipes=lambda wildcards, study=STUDY: recipes_mark(study),
            code=shown(f"{KIND}s.{FUNCTION}", data=NUMBERS if KIND == "table" else []),
        message:
            f"{'Drawing' if KIND == 'figure' else 'Writing'} {KIND} {NAME}"
        script:
            "../scripts/show.py"
