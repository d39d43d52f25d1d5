"""A generated world and five tiny language models trained on it: the benchmark offline, in minutes.

The world has 400 kinds of animals, 400 things and 200 people with invented names, own attributes
and attributes inherited from their class; things have uses, and people hand things to one another.
Its text teaches facts and the prompt formats of the tasks. Each of six tasks is the miniature of
one task of the paper: PIQA (which thing serves a purpose), ARC-Easy (a stated fact), ARC-Challenge
(an inherited fact), WinoGrande (who owns the thing after a story), OpenBookQA (a fact of the note
in the prompt), MMLU (exam questions with lettered answers). Items of tasks that test generalisation
are held out of the training text.

Each model has the transformers class of one model of the paper and some 150,000 parameters. The
size is deliberate: a model much larger than its world loses nothing at 60 % sparsity, and all
pruning methods would look alike. Here all weights are needed, and methods separate.

Modules: `world` (entities), `text` (documents), `tasks` (items), `dataset` (files), `tokenizer`,
`architectures`, `recipes` and `training` (checkpoints).
"""
