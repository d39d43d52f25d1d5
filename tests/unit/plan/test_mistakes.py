"""Mistakes in settings: one line each, where it was written, with the fix or what may be meant.

A paragraph of `MISTAKES` has settings as a user writes them, in YAML, and after each dash the start
of a line of the message. The scale is mini where no other is named.
"""

import pytest
import yaml

from leap_suite.plan import config
from leap_suite.plan.validation import ConfigError

MISTAKES = """
# keys and values
scale: minii
- scale: there is no 'minii' (did you mean 'mini'?)

gridd: {}
colour: red
grid: {method: [wanda], methods: wanda, sparsities: [0.5, 0.50]}
execution: {checkpointing: perhaps, micro_batch: all}
models: {mini-llama-3.2-1b: {resources: {prepare: {gpu: 1}}}}
run: logs
- config: there is no setting 'colour' (known: about, against, corpora,
- config: there is no setting 'gridd' (did you mean 'grid'?)
- execution.checkpointing: "perhaps" is not one of auto, true, false
- execution.micro_batch: "all" does not match '^auto$'
- grid: there is no setting 'method' (did you mean 'methods'?)
- grid.methods: "wanda" is not a list
- grid.sparsities: 0.5 is listed twice; list it once
- models.mini-llama-3.2-1b.resources.prepare: there is no setting 'gpu'
- run: "logs" cannot be used (results/ has another folder of that name; choose another name)

# a missing key that was misspelt is no second mistake
models:
  a: {source: {miniature: mini-llama-3.2-1b}, dtipe: float32, bos: true}
  mini-llama-3.2-1b: {source: {pth: /a}}
corpora:
  calibration: {packing: windows, text: {hub: a/b}}
- corpora.calibration: seed must be set
- corpora.calibration.text: set either miniature, or hub, name, split, column, documents
- models.a: there is no setting 'dtipe' (did you mean 'dtype'?)
- models.mini-llama-3.2-1b.source: there is no setting 'pth' (did you mean 'path'?)

# sparsities; 1e-05 is how Python and paths write it
grid: {sparsities: [0.5, 50, 0, 1, half, "1e-5"]}
studies:
  sweep: {grid: {methods: {wanda: 0.5}, sparsities: ["0.99999999999999999"]}}
- grid.sparsities.1: 50 is out of range: it must be below 1
- grid.sparsities.2: 0 is out of range: it must be above 0
- grid.sparsities.3: 1 is out of range: it must be below 1
- grid.sparsities.4: "half" is not a number
- grid.sparsities.5: "1e-5" is not a number
- studies.sweep.grid.methods.wanda: 0.5 is not a list (Sparsities of the method.)
- studies.sweep.grid.sparsities.0: 1.0 is out of range: it must be below 1

grid: {sparsities: [0.30000000000000004, 0.00001, .nan]}
- grid.sparsities.0: 0.30000000000000004 cannot be used: it names folders
- grid.sparsities.1: 1e-05 cannot be used: it names folders, so write 0.0001 or more, with at most
- grid.sparsities.2: nan cannot be used: it names folders

studies:
  sweep: {grid: {sparsities: [0.00001]}}
  patterns: {grid: {methods: {patch: [0.4, 0.00001]}}}
  tokens: {amounts: {sparsities: [0.00001]}}
  ablations: {variants: {sparsity: 0.00001}}
- studies.patterns.grid.methods.patch.1: 1e-05 cannot be used: it names folders
- studies.sweep.grid.sparsities.0: 1e-05 cannot be used: it names folders
- studies.tokens.amounts.sparsities.0: 1e-05 cannot be used: it names folders
- studies.ablations.variants.sparsity: 1e-05 cannot be used: it names folders

studies:
  patterns: {grid: {methods: {maskllm: [0.6], patch: [0.4, 0.55]}}}
  mine: {table: main, variants: {base: maskllm, models: [mini-gemma-3-1b], sparsity: 0.6,
                                 seeds: [0], variants: {large: {batch: 32}}}}
- studies.patterns.grid.methods.maskllm.0: 0.6 is impossible with pattern 2:4
- studies.patterns.grid.methods.patch.1: 0.55 is impossible with pattern 2:4
- studies.mine.variants.sparsity: 0.6 is impossible with pattern 2:4

# names in paths, shells and the mirror
models:
  "x; touch y": {source: {path: .}, dtype: float32, bos: true}
  m: {source: {hub: {id: a/.., revision: main}}, dtype: float32, bos: true}
  n: {source: {path: x, miniature: y}, dtype: float32, bos: true}
methods: {x$(touch y): {like: wanda}}
studies: {My-study: {table: main, grid: {models: [m], methods: {wanda: [0.5]}, seeds: [0]}}}
corpora:
  calibration:
    text: {hub: ../b, name: "", split: ../../c, column: text, documents: 1, revision: main}
  training: {text: {revision: "0000000000000000000000000000000000000000"}}
evaluation: {tasks: {piqa: {dataset: ../../etc}}}
- corpora.calibration.text.hub: "../b" does not match
- corpora.calibration.text.revision: "main" does not match
- corpora.calibration.text.split: "../../c" does not match
- corpora.training.text: 'hub' is a dependency of 'revision'
- evaluation.tasks.piqa.dataset: "../../etc" does not match
- methods.x$(touch y): "x$(touch y)" does not match '^[A-Za-z0-9][A-Za-z0-9._-]*$'
- models.m.source.hub.id: "a/.." does not match
- models.m.source.hub.revision: "main" does not match
- models.n.source: {"path": "x", "miniature": "y"} has too many properties
- models.x; touch y: "x; touch y" does not match
- studies.My-study: "My-study" does not match '^[a-z][a-z0-9_]*$'

models:
  m: {source: {path: /no/such}, dtype: float32, bos: true}
  n: {source: {miniature: mini-lama-3.2-1b}, dtype: float32, bos: true}
hub_mirror: nowhere
- models.m.source.path: /no/such holds no checkpoint (config.json is missing)
- models.n.source.miniature: there is no miniature 'mini-lama-3.2-1b' (did you mean
- hub_mirror: there is no folder nowhere; give an existing one, or "" for the hub

subject: wnda
against: [adm]
studies: {tokens: {amounts: {calibrated: {methods: [leap]}, trained: {methods: [alps]}}}}
- subject: there is no method 'wnda' (did you mean 'wanda'?) under methods
- against: there is no method 'adm' (did you mean 'admm'?) under methods
- studies.tokens.amounts.calibrated.methods: leap is not calibrated; list it under studies.tokens.
- studies.tokens.amounts.trained.methods: alps is not trained; list it under studies.tokens.

# settings of methods: one line for the method, not one for every variant
methods:
  leap: {stepz: 3}
  wanda: {budgett: row, alocation: owl}
studies: {ablations: {variants: {variants: {mine: {stepss: 3}}}}}
- methods.wanda: there is no setting 'alocation' (did you mean 'allocation'?)
- methods.wanda: there is no setting 'budgett' (did you mean 'budget'?)
- methods.leap: there is no setting 'stepz' (did you mean 'steps'?)
- studies.ablations.variants.variants.mine: there is no setting 'stepss' (did you mean 'steps'?)

# N:M without quotes, which YAML reads in base 60
methods:
  wanda: {budget: 2:4}
  admm: {allocation: outliers, calibration: {corpus: perplexity}}
  maskllm: {pattern: "8:16", density_strength: 7}
  patch: {mode: tile, sparse_masks: random}
- methods.wanda.budget: 124 is not one of row, layer, global, 2:4
- methods.admm.allocation: "outliers" is incomplete (How sparsity is spread
- methods.admm.calibration: sequences must be set
- methods.admm.calibration.corpus: "perplexity" is not one of training
- methods.maskllm.density_strength: 7 is not one of 0 (
- methods.maskllm.pattern: "8:16" is not one of 1:4, 2:4, 4:8
- methods.patch.sparse_masks: "random" cannot be used (mode tile needs masks; name a method

# like, preset and names of methods
methods:
  wanda-owl: {like: wandaa}
  a: {like: b}
  b: {like: a}
  leap: {preset: papr}
  wandaa: {budget: row}
studies: {ablations: {variants: {variants: {mine: {like: leep}}}}}
- methods.leap.preset: there is no preset 'papr' (did you mean 'paper'?)
- methods.a.like: leads back to itself; name another method
- methods.wandaa: there is no method 'wandaa' (did you mean 'wanda'?)
- studies.ablations.variants.variants.mine.like: there is no method 'leep' (did you mean 'leap'?)

methods: {wanda-owl: {like: wandaa}, w: {like: [wanda]}, leap: {preset: null}}
- methods.leap.preset: null is not text
- methods.w.like: ["wanda"] is not text or null

scale: smoke
grid: {methods: [maskllm]}
- grid.methods: 'maskllm' has no settings: give its settings under methods.maskllm

# masks and densities of other methods
methods:
  leap: {warm_start: randm}
  leap-start: {warm_start: maskllm}
  maskllm: {warm_start: wanda}
  patch: {warm_start: wanda-2-4, sparse_masks: wanda}
  wanda: {allocation: {from: leep}}
  sparsegpt: {allocation: {from: sparsegpt}}
  reconstruct: {mask_from: random}
  other: {like: reconstruct, mask_from: other}
  more: {like: reconstruct, mask_from: wanda-2-4}
studies: {ablations: {variants: {variants: {mine: {warm_start: magnitud}}}}}
- methods.wanda.allocation.from: there is no method 'leep' (did you mean 'leap'?) under methods
- methods.sparsegpt.allocation.from: a method cannot take its own densities; name another
- methods.reconstruct.mask_from: there is no method 'random' (did you mean 'random-mask'?) under
- methods.leap.warm_start: there is no method 'randm' (did you mean 'random'?) under methods
- methods.maskllm.warm_start: must be random or a method with budget "2:4", not wanda
- methods.patch.warm_start: must be random or a method without an N:M budget, not wanda-2-4
- methods.patch.sparse_masks: must be random or a method with budget "2:4", not wanda
- methods.leap-start.warm_start: maskllm is trained; use random or a layer-wise method
- methods.other.mask_from: a method cannot keep its own masks; name another
- methods.more.mask_from: must be a method without an N:M budget, not wanda-2-4
- studies.ablations.variants.variants.mine.warm_start: there is no method 'magnitud' (did you mean

methods: {wanda: {allocation: {from: leap}}}
- methods.wanda.allocation.from: leap takes masks from wanda itself; give the allocation to a

methods: {leap: {warm_start: leap-reconstruct}}
- methods.leap-reconstruct.mask_from: leap takes masks from leap-reconstruct itself; name another

# weights under the mask of another method, and their one budget
methods: {elsa: {preset: public-cod}}
- methods.elsa.preset: there is no preset 'public-cod' (did you mean 'public-code'?)

methods:
  finetune: {mask_from: random}
  finetune-distil: {distil: 0.5, mask_from: finetune-distil}
  admm-finetune: {mask_from: wanda-2-4}
  of-all: {like: finetune, mask_from: elsa}
  elsa: {trained: all}
- methods.finetune.mask_from: there is no method 'random' (did you mean 'random-mask'?) under
- methods.finetune-distil.mask_from: a method cannot keep its own masks; name another
- methods.admm-finetune.mask_from: must be a method without an N:M budget, not wanda-2-4
- methods.of-all.mask_from: elsa trains all parameters, of which only masks and weights would be

methods:
  finetune-distil: {distil: 1.1}
  leap-finetune: {mask_share: 1}
  gmp: {ramp: 2, criterion: wanda}
- methods.finetune-distil.distil: 1.1 is greater than the maximum of 1 (Share of the loss
- methods.leap-finetune.mask_share: 1 is out of range: it must be below 1
- methods.gmp.criterion: "wanda" is not one of magnitude, moment
- methods.gmp.ramp: 2 is greater than the maximum of 1

methods:
  admm-finetune: {mask_share: 0.5}
  leap-finetune: {mask_share: 0.001}
  c: {like: leap-finetune, mask_share: 0.3}
  leap-120-steps: {like: leap, steps: 120, batch: 32}
- methods.admm-finetune.mask_share: admm is not trained; set mask_share to 0, or name a
- methods.leap-finetune.mask_share: divides 400 steps into parts of 0; change one
- methods.c.mask_share: there is another method leap-120-steps; rename it

methods: {w: {like: wanda-owl, budget: global}, v: {like: wanda-2-4, allocation: owl}}
- methods.w.allocation: budget global spreads sparsity itself; use another budget or allocation
- methods.v.allocation: budget 2:4 spreads sparsity itself; use another budget or allocation

# calibration
methods: {admm: {calibration: {corpus: training, sequences: 6401}}}
- methods.admm.calibration.sequences: 6401 exceeds corpora.training.sequences, 6400: lower it

# studies
studies:
  one: {table: main}
  two: {models: [mini-gemma-3-1b]}
  sweep:
    variants: {base: leap, models: [m], sparsity: 0.5, seeds: [0], variants: {}}
  three: {table: main, grid: {models: [mini-gemma-3-1b], methods: [wanda]}}
- studies.one: set either grid, or variants, or amounts
- studies.sweep: set either grid, or variants, or amounts
- studies.three.grid: sparsities, seeds must be set
- studies.two: there is no setting 'models' (known: amounts, figure, grid, measure, searches, table,
- studies.two: table must be set

grid: {methods: [wnda], models: [mini-lama-3.2-1b]}
methods: {admm-512-sequences: {like: admm, rho: 2.0}}
studies:
  patterns: {grid: {methods: {ptch: [0.4]}, models: [nano]}}
  tokens: {amounts: {calibrated: {methods: [admm, admmm]}}}
  ablations: {variants: {variants: {per-block: {hard: true}}}}
  elsa_search: {variants: {base: leep}}
- grid.methods: 'wnda' has no settings: there is no method 'wnda' (did you mean 'wanda'?)
- grid.models: there is no model 'mini-lama-3.2-1b' (did you mean 'mini-llama-3.2-1b'?) under models
- studies.patterns.grid.methods: 'ptch' has no settings: there is no method 'ptch' (did you mean
- studies.patterns.grid.models: there is no model 'nano' (known: mini-gemma-3-1b,
- studies.tokens.amounts.calibrated.methods: 'admmm' has no settings: there is no method 'admmm'
- studies.tokens.amounts.calibrated.sequences: there is another method admm-512-sequences; rename
- studies.ablations.variants.variants.per-block: there is another method leap-per-block; rename one
- studies.elsa_search.variants.base: 'leep' has no settings: there is no method 'leep' (did you mean

studies:
  budget:
    searches: {leep: [leap_search], leap: [leap_serch, elsa_search], elsa: [elsa_search, sweep]}
- studies.budget.searches.leap: there is no study 'leap_serch' (did you mean 'leap_search'?)
- studies.budget.searches.leap: elsa_search is no search of leap; name another
- studies.budget.searches.elsa: sweep does not measure validation; name a search
- studies.budget.searches.leep: there is no method 'leep' (did you mean

# tasks
evaluation: {tasks: {piqa: null, arc_easy: null, arc_challenge: null, winogrande: null,
                     openbookqa: null, mmlu: null}}
- evaluation.tasks: {} should be non-empty (

scale: laptop
evaluation: {tasks: {piga: null, arc_easy: {task: hellaswag}}}
- evaluation.tasks.arc_easy: dataset must be set
- evaluation.tasks.piga: null is not a mapping

evaluation: {tasks: {piqa: {averaged: false}, arc_easy: {averaged: false},
                     arc_challenge: {averaged: false}, winogrande: {averaged: false},
                     openbookqa: {averaged: false}, mmlu: {averaged: false}}}
- evaluation.tasks: none counts in the average; add one whose metric is a fraction of correct items

scale: laptop
evaluation:
  tasks:
    lambada: {task: lambada_openai, dataset: EleutherAI/lambada_openai, limit: 0,
              metric: perplexity, averaged: true, title: PIQA}
    average: {task: lambada_openai, dataset: EleutherAI/lambada_openai, limit: 0}
    piqa_norm: {task: lambada_openai, dataset: EleutherAI/lambada_openai, limit: 0}
- evaluation.tasks.lambada.title: PIQA is the heading of piqa; use another
- evaluation.tasks.lambada.averaged: perplexity is no fraction of correct items; leave this out
- evaluation.tasks.average: average is the name of another result; rename the task
- evaluation.tasks.piqa_norm: piqa_norm is the name of another result; rename the task

scale: paper
evaluation: {tasks: {arc_easy: {revision: "0000000000000000000000000000000000000000"}}}
- evaluation.tasks.arc_challenge.revision: allenai/ai2_arc has another revision in another task

# generated data and real data
evaluation: {tasks: {piqa: {task: mini_mmlu, dataset: mini_mmlu}}}
- evaluation.tasks.piqa.task: mini_mmlu is not piqa: write mini_piqa, or call it mmlu

evaluation: {tasks: {piqa: {dataset: mini_mmlu}}}
- evaluation.tasks.piqa.dataset: mini_mmlu is not the data of mini_piqa: write mini_piqa

scale: laptop
evaluation: {tasks: {piqa: {dataset: mini_piqa}}}
- evaluation.tasks.piqa.dataset: mini_piqa is generated, but piqa is a real task: write the name

evaluation: {tasks: {piqa: {task: piqa, dataset: baber/piqa}}}
- evaluation.tasks.piqa.task: piqa is a real task among generated ones: leave out one kind (`piqa:

scale: laptop
evaluation: {tasks: {mmlu: {task: mini_mmlu, dataset: mini_mmlu}}}
- evaluation.tasks.mmlu.task: mini_mmlu is a generated task among real ones: leave out one kind

scale: laptop
models: {m: {source: {miniature: mini-llama-3.2-1b}, dtype: float32, bos: true}}
grid: {models: [smollm2-135m, m]}
- grid.models: m is a miniature and knows nothing of the real tasks in evaluation.tasks: run it at

models:
  mine:
    source: {hub: {id: owner/name, revision: "0000000000000000000000000000000000000000"}}
    dtype: float32
    bos: true
studies: {sweep: {grid: {models: [mine]}}}
- studies.sweep.grid.models: mine is not a miniature, and only miniatures know the generated data

scale: laptop
corpora: {calibration: {text: {miniature: train}}}
studies: null
- grid.models: smollm2-135m is not a miniature, and only miniatures know the generated data of
"""


def cases() -> dict[str, tuple[dict, list[str]]]:
    """Settings and lines of the message, by the text of the settings."""
    found = {}
    for paragraph in MISTAKES.strip().split("\n\n"):
        lines = paragraph.splitlines()
        written = "\n".join(line for line in lines if not line.startswith("- "))
        settings = {"scale": "mini", "hub_mirror": "", **yaml.safe_load(written)}
        found[written] = settings, [line[2:] for line in lines if line.startswith("- ")]
    return found


def message(settings: dict) -> list[str]:
    with pytest.raises(ConfigError) as error:
        config.load(settings)
    return str(error.value).splitlines()


@pytest.mark.parametrize(("settings", "lines"), cases().values(), ids=cases())
def test_a_mistake_is_one_line_where_it_was_written(settings, lines):
    found = message(settings)
    assert [line[: len(start)] for line, start in zip(found, lines, strict=False)] == lines
    assert len(found) == len(lines), found


def test_missing_text_is_one_line_for_all_methods_that_need_it(monkeypatch):
    scale = config.scale_settings("mini")
    del scale["corpora"]["training"]
    scale["methods"]["admm"]["calibration"] = {"corpus": "training", "sequences": 9}
    monkeypatch.setattr(config, "scale_settings", lambda name: scale)
    settings = {"scale": "mini", "hub_mirror": ""}
    assert message(settings) == ["corpora.training: must be set, since leap is trained on it"]
    scale["grid"]["methods"], scale["studies"] = ["wanda"], {}
    assert message(settings) == ["corpora.training: must be set, since admm is calibrated on it"]
