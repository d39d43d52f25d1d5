# Figures, each as SVG, PDF and PNG; a figure is a function of its own name in suite.figures.

# In the order of the report: name, what it shows, inputs, and whether this grid has cells for it.
FIGURES = (
    ("quality", "accuracy and perplexity", {"main_csv": rules.tables.output.csv}, True),
    (
        "gain",
        "gain over each baseline",
        {"evaluations": evaluations_of(CELLS), "answers": items_of(CELLS)},
        OF_LEAP and len(FIRST) > len(OF_LEAP),
    ),
    ("density", "density by layer", {"manifests": files_of(OF_LEAP, "manifest.json")}, OF_LEAP),
    (
        "training",
        "training",
        {"journals": journals_of(OF_LEAP)},
        OF_LEAP,
    ),
    (
        "agreement",
        "agreement of masks",
        {
            "manifests": files_of(FIRST, "manifest.json"),
            "masks": files_of(FIRST, "mask.safetensors"),
        },
        # two methods of one model at one sparsity
        len({(cell.model, cell.sparsity) for cell in FIRST}) < len(FIRST),
    ),
    (
        "cost",
        "accuracy and cost",
        {"evaluations": evaluations_of(PRUNED), "manifests": files_of(PRUNED, "manifest.json")},
        PRUNED,
    ),
    # of studies, by their own targets
    ("patterns", "patterns", {"patterns_csv": rules.pattern_table.output.csv}, False),
    ("sweep", "many sparsities", {"main_csv": rules.sweep_table.output.csv}, False),
    ("tokens", "tokens seen", {"csv": rules.token_table.output.csv}, False),
    ("ablations", "ablations", {"csv": rules.ablation_table.output.csv}, False),
)
SHOWN = [name for name, _, _, is_shown in FIGURES if is_shown]

for FIGURE, TITLE, INPUTS, _ in FIGURES:

    rule:
        name:
            f"figure_{FIGURE}"
        input:
            **INPUTS,
        output:
            report(
                formats(FIGURE)[0],
                category="Figures",
                labels={"figure": TITLE},
                caption=f"../report/{FIGURE}.rst",
            ),
            formats(FIGURE)[1:],
        log:
            f"{RESULTS}/logs/figures/{FIGURE}.log",
        localrule: True
        conda:
            "../../envs/suite.yaml"
        params:
            figure=FIGURE,
            note=NOTE,
            code=shown(f"figures.{FIGURE}"),
        message:
            f"Drawing figure {FIGURE}"
        script:
            "../scripts/figures.py"
