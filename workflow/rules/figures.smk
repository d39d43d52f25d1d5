# Figures, each as SVG, PDF and PNG; a figure is a function of its own name in suite.figures.

# In the order of the report: name, what it shows, inputs, and whether this grid has cells for it.
FIGURES = (
    ("quality", "accuracy and perplexity", frames_of(""), True),
    # where another method stands beside the subject
    ("gain", "gain over each baseline", frames_of(""), OF_SUBJECT and len(FIRST) > len(OF_SUBJECT)),
    ("density", "density by layer", {"manifests": manifests_of(OF_SUBJECT)}, OF_SUBJECT),
    (
        "training",
        "training",
        {"journals": journals_of(OF_SUBJECT)},
        OF_SUBJECT and SUBJECT in LEARN_MASKS,
    ),
    (
        "agreement",
        "agreement of masks",
        {"manifests": manifests_of(FIRST), "masks": files_of(FIRST, "mask.safetensors")},
        # two methods of one model at one sparsity
        len({(cell.model, cell.sparsity) for cell in FIRST}) < len(FIRST),
    ),
    ("cost", "accuracy and cost", frames_of(""), PRUNED),
)
SHOWN = [name for name, _, _, is_shown in FIGURES if is_shown]
# name, function, title, study, inputs
DRAWN = [(name, name, title, "", inputs) for name, title, inputs, is_shown in FIGURES if is_shown]
DRAWN += [
    (study, studies.section(study, config)["figure"], study, study, frames_of(study))
    for study in STUDIES
    if "figure" in studies.section(study, config)
]

for NAME, FIGURE, TITLE, STUDY, INPUTS in DRAWN:

    rule:
        name:
            f"figure_{NAME}"
        input:
            **INPUTS,
        output:
            report(
                formats(NAME)[0],
                category="Figures",
                labels={"figure": TITLE},
                caption=f"../report/{FIGURE}.rst",
            ),
            formats(NAME)[1:],
        log:
            f"{RESULTS}/logs/figures/{NAME}.log",
        localrule: True
        conda:
            "../../envs/suite.yaml"
        params:
            kind="figure",
            function=FIGURE,
            told=lambda wildcards, study=STUDY, name=NAME: told(study, name),
            recipes=lambda wildcards, study=STUDY: recipes_mark(study),
            note=NOTE,  # for the caption
            code=shown(f"figures.{FIGURE}"),
        message:
            f"Drawing figure {NAME}"
        script:
            "../scripts/show.py"
