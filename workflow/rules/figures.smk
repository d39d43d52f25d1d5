# Figures as SVG, PDF and PNG; each is drawn by the function of its name in leap_suite.figures.

# cells of all methods but controls
COUNTED = [cell for cell in FIRST if cell.method not in methods_that_are("control", config)]
OF_OTHERS = {(cell.model, cell.sparsity) for cell in COUNTED if cell.method != SUBJECT}
HAS_OPPONENTS = any((cell.model, cell.sparsity) in OF_OTHERS for cell in OF_SUBJECT)

# In the order of the report: name, title, inputs, and whether this grid has cells for it.
FIGURES = (
    ("quality", "accuracy and perplexity", frames_of(""), True),
    ("gain", "gain over each baseline", frames_of(""), HAS_OPPONENTS),
    ("density", "density by layer", {"manifests": manifests_of(OF_SUBJECT)}, OF_SUBJECT),
    (
        "training",
        "training",
        {"journals": of_each(OF_SUBJECT, "journals/train/{}.jsonl")},
        OF_SUBJECT and SUBJECT in LEARN_MASKS,
    ),
    (
        "agreement",
        "agreement of masks",
        {"manifests": manifests_of(FIRST), "masks": hardened_of(FIRST, "mask.safetensors")},
        # two methods of one model at one sparsity
        len({(cell.model, cell.sparsity) for cell in FIRST}) < len(FIRST),
    ),
    ("cost", "accuracy and cost", frames_of(""), COUNTED),
    ("speed", "speed and bytes", shown_of("speed"), config["speed"]["grid"]),
)
SHOWN = [name for name, _, _, is_shown in FIGURES if is_shown]
# name, function, title, study, inputs
# the figure of speed also where only its target asks for it
DRAWN = [
    (name, name, title, "", inputs)
    for name, title, inputs, is_shown in FIGURES
    if is_shown or name == "speed"
]
DRAWN += [
    (name, figure, name, study, frames_of(study))
    for study in STUDIES
    for name, figure in studies.figures_of(study, config).items()
]
