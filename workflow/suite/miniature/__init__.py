"""A generated world and five tiny language models that know it: the benchmark offline, in minutes.

The world has 400 kinds of animals, 400 things and 200 people with invented names. Each has
attributes of its own and inherits others from its class; things have uses, people hand things to
one another. Its text teaches plain facts and the forms of questions, exams, errands and stories.
Six tasks ask about it, each the miniature of one task of the paper: PIQA (which thing serves a
purpose), ARC-Easy (a stated fact), ARC-Challenge (a fact that is only inherited), WinoGrande (who
owns the thing now), OpenBookQA (a fact of the note just read), MMLU (exam questions whose answer
is a letter). Where a task is about generalising, what it asks is held out of the training text.

Each of the five models stands for one model of the paper and uses the same transformers class,
with some 150,000 parameters. That scarcity is deliberate. A model far larger than its world loses
nothing when 60 % of its weights go, so every pruning method would look alike. Here the weights
are all needed, methods separate, and a table of the miniature grid means something.

Modules: `world` (who and what exists), `text` (documents), `tasks` (the six tasks), `dataset`
(writes both to disk), `tokenizer`, `architectures`, `recipes` and `training` (of the checkpoints).
"""
