# Figures, each as SVG, PDF and PNG; a figure is a function of its own name in suite.figures.

# In the order of the report: name, function, what it shows, its study ("" for the grid), inputs.
FIGURES = [
    ("quality", "quality", "accuracy and perplexity", "", frames_of("")),
    *([("gain", "gain", "gain over each baseline", "", frames_of(""))] if IS_JUDGED else []),
    *(
        [("density", "density", "density by layer", "", {"manifests": manifests_of(OF_SUBJECT)})]
        if OF_SUBJECT
        else []
    ),
    *(
        [("training", "training", "training", "", {"journals": journals_of(OF_SUBJECT)})]
        if OF_SUBJECT and SUBJECT in LEARN_MASKS
        else []
    ),
    *(
        [
            (
                *("agreement", "agreement", "agreement of masks", ""),
                {"manifests": manifests_of(FIRST), "masks": files_of(FIRST, "mask.safetensors")},
            )
        ]
        # two methods of one model at one sparsity
        if len({(cell.model, cell.sparsity) for cell in FIRST}) < len(FIRST)
        else []
    ),
    *([("cost", "cost", "accuracy and cost", "", frames_of(""))] if PRUNED else []),
    *(
        (study, studies.section(study, config)["figure"], study, study, frames_of(study))
        for study in STUDIES
        if "figure" in studies.section(study, config)
    ),
]
SHOWN = [name for name, _, _, study, _ in FIGURES if not study]

for NAME, FIGURE, TITLE, STUDY, INPUTS in FIGURES:

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
