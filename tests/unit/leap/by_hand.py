"""Mask training written out in plain autograd: every formula in its own line, nothing fused."""

import math

import torch
from torch import nn
from torch.func import functional_call

from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM, sample_gumbel
from leap.methods.parameterisation import Start, key
from leap.methods.patterns import gumbel, patterns
from leap.methods.relaxation import generator, sample_noise
from leap.model.layers import prunable_linears
from leap.seeds import noise_seed


def training_by_hand(model, blocks, s, what=None, prior=None, sparse=None):
    """Logits by layer and part after the last step, and the metrics of every step."""
    what = what or Leap()
    linears = prunable_linears(model)
    frozen = {name: linear.weight.detach() for name, linear in linears.items()}
    logits = {}
    for index, (name, weight) in enumerate(frozen.items()):
        masks = (given and given[name] for given in (prior, sparse))
        start = Start(tuple(weight.shape), s, noise_seed(s.seed, -1, index), *masks)
        logits[name] = {p: tensor.requires_grad_() for p, tensor in what.first(start).items()}
    learned = [tensor for parts in logits.values() for tensor in parts.values()]
    optimiser = torch.optim.AdamW(
        learned, betas=(0.9, 0.95), weight_decay=s.weight_decay, fused=False, foreach=False
    )
    lines = []
    for step in range(s.steps):
        ratio = step / s.steps
        alpha, pattern_alpha, tau = (
            first + (last - first) * ratio
            for first, last in (s.alpha, s.pattern_alpha or s.alpha, s.tau)
        )
        rate = s.learning_rate * (step + 1) / s.warmup_steps
        if step >= s.warmup_steps:
            angle = math.pi * (step - s.warmup_steps) / (s.steps - s.warmup_steps)
            rate = s.learning_rate * (1 + math.cos(angle)) / 2
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        draws = s.batch // s.sequences_per_draw
        sums = 0.0
        for draw in range(draws):
            masks = {
                name: mask_by_hand(
                    what, logits[name], weight.shape, (alpha, pattern_alpha, tau), s,
                    noise_seed(s.seed, step, draw, index), sparse and sparse[name],
                )
                for index, (name, weight) in enumerate(frozen.items())
            }  # fmt: skip
            places = range(draw * s.sequences_per_draw, (draw + 1) * s.sequences_per_draw)
            ids = blocks[[row_of(s, step * s.batch + place, len(blocks)) for place in places]]
            terms = terms_by_hand(model, ids, s, masks, frozen, ratio)
            (terms[0] / draws).backward()
            sums = sums + torch.stack([term.detach() for term in terms]) / draws
        squares = sum(float(tensor.grad.double().square().sum()) for tensor in learned)
        if 0 < s.max_grad_norm < squares**0.5:
            for tensor in learned:
                tensor.grad *= s.max_grad_norm / squares**0.5
        optimiser.step()
        names = ["loss", "lm_loss", "density_term", "magnitude_term", "density"]
        names += [f"density/{name}" for name in frozen]
        lines.append({
            **dict(zip(names, sums.tolist(), strict=True)), "gradient_norm": squares**0.5,
            "alpha": alpha, "tau": tau, "learning_rate": rate,
        })  # fmt: skip
    parts = {key(name, p): t.detach() for name, of in logits.items() for p, t in of.items()}
    return parts, lines


def mask_by_hand(what, logits, shape, scales, s, seed, sparse):
    """The mask [O, I] by its formula, and nothing but its formula."""
    (alpha, pattern_alpha, tau), own = scales, logits["logits"]
    if isinstance(what, MaskLLM):
        noise = sample_gumbel(tuple(own.shape), seed, own)
        choice = torch.softmax((alpha * own + noise) / tau, dim=2)
        return (choice @ patterns(what.n, what.m)).flatten(1)
    kind = s.noise if isinstance(what, Leap) else "logistic"
    mask = torch.sigmoid((alpha * own + sample_noise(tuple(own.shape), kind, seed, own)) / tau)
    if s.hard:
        mask = (mask > 0.5).float() + mask - mask.detach()
    if isinstance(what, Leap):
        return mask
    size = what.size
    dense = mask.repeat_interleave(size, 0).repeat_interleave(size, 1)[: shape[0], : shape[1]]
    below = None if sparse is None else sparse.float()
    if what.joint:
        noise = torch.empty(logits["patterns"].shape)
        random = generator(seed ^ 1, torch.device("cpu"))
        for start in range(0, shape[0], size):
            band = noise[start : start + size]
            band[:] = gumbel(band.flatten(0, 1).T.shape, band, random).T.reshape(band.shape)
        choice = torch.softmax((pattern_alpha * logits["patterns"] + noise) / tau, dim=2)
        below = (choice @ patterns(what.n, what.m)).flatten(1)
    return dense + (1 - dense) * below


def terms_by_hand(model, ids, s, masks, frozen, ratio):
    """The loss, its three terms, the density, and that of each layer."""
    masked = {name: masks[name] * frozen[name] for name in frozen}
    weights = {f"{name}.weight": weight for name, weight in masked.items()}
    scores = functional_call(model, weights, kwargs={"input_ids": ids}).logits
    lm_loss = nn.functional.cross_entropy(
        scores[:, :-1].reshape(-1, scores.shape[-1]), ids[:, 1:].reshape(-1)
    )
    whole = torch.cat([mask.flatten() for mask in masks.values()])
    blocks = {}
    for name, mask in masks.items():
        blocks.setdefault(name.split(".layers.")[1].split(".")[0], []).append(mask.flatten())
    distances = torch.stack([
        (torch.cat(parts).mean() - (1 - s.sparsity)).abs() for parts in blocks.values()
    ])  # fmt: skip
    distance = {
        "global": (whole.mean() - (1 - s.sparsity)).abs(),
        "per_block": distances.mean(),
        "per_block_sum": distances.sum(),
    }[s.density_scope]
    density = s.density_strength * distance
    kept, norm = (sum(w.norm() for w in of.values()) for of in (masked, frozen))
    kept_l1, norm_l1 = (sum(w.abs().sum() for w in of.values()) for of in (masked, frozen))
    share = {
        "norm_ratio": (1 - ratio) * kept / norm,
        "norm_sum": (1 - ratio) * kept,
        "l1": kept_l1 / norm_l1,
        "none": torch.zeros(()),
    }[s.magnitude]
    magnitude = -s.magnitude_strength * share
    loss = lm_loss + density + magnitude
    return [loss, lm_loss, density, magnitude, whole.mean(), *(m.mean() for m in masks.values())]


def row_of(s, place, sequences):
    """The sequence at a place of the training: a new order in every epoch."""
    epoch, position = divmod(place, sequences)
    random = torch.Generator().manual_seed(noise_seed(s.seed, -2, epoch))
    return int(torch.randperm(sequences, generator=random)[position])
