# Figures, each as SVG, PDF and PNG; a figure is the function of its name in suite.figures.

PRUNED = [cell for cell in CELLS if cell.method != DENSE]
# one seed a method
FIRST = list({(cell.model, cell.method, cell.sparsity): cell for cell in PRUNED[::-1]}.values())[
    ::-1
]
OF_LEAP = [cell for cell in FIRST if cell.method == LEAP]

# In the order of the report: name, what it shows, inputs, and whether this grid has cells for it.
FIGURES = (
    ("quality", "accuracy and perplexity", {"main_csv": rules.tables.output.csv}, True),
    (
        "gain",
        "gain over each baseline",
        {"main_csv": rules.tables.output.csv},
        OF_LEAP and len(FIRST) > len(OF_LEAP),
    ),
    ("density", "density by layer", {"manifests": files_of(OF_LEAP, "manifest.json")}, OF_LEAP),
    (
        "training",
        "training",
        {"journals": [f"{RESULTS}/journals/train/{cell.path}.jsonl" for cell in OF_LEAP]},
        OF_LEAP,
    ),
    (
        "agreement",
        "agreement of masks",
        {
            "manifests": files_of(FIRST, "manifest.json"),
            "masks": files_of(FIRST, "mask.safetensors"),
        },
        PRUNED,
    ),
    (
        "cost",
        "accuracy and cost",
        {"evaluations": evaluations_of(PRUNED), "manifests": files_of(PRUNED, "manifest.json")},
        PRUNED,
    ),
)
SHOWN = [name for name, _, _, is_shown in FIGURES if is_shown]


def formats(name):
    """The files of a figure."""
    return [f"{RESULTS}/figures/{name}.{suffix}" for suffix in ("svg", "pdf", "png")]


for FIGURE, TITLE, INPUTS, IS_SHOWN in FIGURES:

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
