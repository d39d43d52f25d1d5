"""Settings of mask training, and presets of papers and official code.

What only decides how it is computed is `leap.execution`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

NOISES = ("logistic", "gumbel")
SCOPES = ("global", "per_block", "per_block_sum")
MAGNITUDES = ("norm_ratio", "norm_sum", "l1", "none")
SELECTIONS = ("exact", "threshold")
LOGITS_DTYPES = ("float32", "model")

Checks = dict[str, tuple[bool, str]]  # by setting: whether it is usable, and its allowed values
T = TypeVar("T")


class Steps(Protocol):
    """Settings that every training has, of masks and of weights (see `Settings`)."""

    @property
    def steps(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def max_grad_norm(self) -> float: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Settings:
    """Settings of a mask training; defaults are LEAP's official code, with exact selection.

    sparsity: fraction of the prunable weights to remove.
    steps, batch: optimiser steps, and sequences a step over all processes.
    sequences_per_draw: of a batch, how many neighbouring sequences share one draw of the masks.
    learning_rate, warmup_steps, weight_decay: of AdamW; the rate has a linear warm-up and decays
        to zero as a cosine.
    max_grad_norm: the gradient of all logits together is scaled down to this norm where it is
        longer; 0 leaves it as it is.
    alpha, tau: first and last value of the logits' scale and of the temperature, linear.
    pattern_alpha: the same scale of the choices among patterns that PATCH learns along with its
        tiles, if it is not alpha.
    noise: `logistic` or `gumbel`; hard: straight-through sampling in the forward pass.
    density_strength, density_scope: weight of |mean M - (1 - sparsity)|, taken over the whole
        model (`global`), or as the mean (`per_block`) or the sum (`per_block_sum`) over decoder
        blocks.
    magnitude, magnitude_strength: the term that rewards kept magnitude (`leap.training.objective`).
    logits_dtype: in what logits and AdamW's moments are kept: `float32`, or `model`, which is the
        weights' own, as in the official code; what is computed from them is float32 in either case.
    init_std, prior_strength: spread of the first logits, and how far a prior mask moves them
        apart, in units of that spread.
    selection: `exact` keeps the (1 - sparsity) * N largest logits, `threshold` the positive ones
        (for PATCH: the dense tiles likewise; MaskLLM always takes each group's largest).
    seed: of the first logits, the noise and the order of the data.
    """

    sparsity: float
    steps: int = 2000
    batch: int = 256
    sequences_per_draw: int = 1
    learning_rate: float = 1e-3
    warmup_steps: int = 5
    weight_decay: float = 0.0
    max_grad_norm: float = 0.0
    alpha: tuple[float, float] = (25.0, 350.0)
    tau: tuple[float, float] = (4.0, 0.05)
    pattern_alpha: tuple[float, float] | None = None
    noise: str = "logistic"
    hard: bool = False
    density_strength: float = 7.0
    density_scope: str = "global"
    magnitude: str = "norm_ratio"
    magnitude_strength: float = 10.0
    logits_dtype: str = "float32"
    init_std: float = 0.014
    prior_strength: float = 3.0
    selection: str = "exact"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", tuple(self.alpha))
        object.__setattr__(self, "tau", tuple(self.tau))
        if self.pattern_alpha is not None:
            object.__setattr__(self, "pattern_alpha", tuple(self.pattern_alpha))
        refuse_unusable(self, _checks(self))


# What differs from the defaults. The official code and the paper's text disagree about the noise
# and the magnitude term. The logistic noise is the default because a single Gumbel's mean is not
# zero, and the norm ratio because it does not depend on the model's size. The official code is
# trained by the Trainer of transformers, whose default clips the gradient, and its logits have the
# model's dtype.
_OFFICIAL = {"max_grad_norm": 1.0, "logits_dtype": "model"}
_MASKLLM = {
    "noise": "gumbel",
    "alpha": (100.0, 500.0),
    "density_strength": 0.0,
    "weight_decay": 0.1,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "paper": {"noise": "gumbel", "magnitude": "l1"},
    "official-code": {"selection": "threshold", **_OFFICIAL},
    # a pattern N:M fixes the density, so no term is needed for it
    "maskllm": _MASKLLM,
    "maskllm-official-code": {**_MASKLLM, "magnitude": "norm_sum", **_OFFICIAL},
    "patch": {},
    "patch-official-code": {
        "selection": "threshold",
        "pattern_alpha": (100.0, 500.0),
        **_OFFICIAL,
    },
}

# Of `leap.methods.elsa`, whole, so that planning needs no torch: its public code, with the learning
# rate and penalty for LLaMA-2-7B. For OPT-125M they are, by sparsity: 0.5: 1e-5, 1e-2; 0.6: 5e-5,
# 5e-3; 0.7: 1e-4, 2e-3; 0.8: 2e-4, 1e-3.
ELSA_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "public-code": {
        "steps": 4096,
        "batch": 8,
        "learning_rate": 2e-4,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "penalty": 0.01,
        "interval": 32,
        "projection": "magnitude",
        "clipping": "loss",
        "decay": "linear",
        "update_at": "start",
        "trained": "all",
    },
}


def make_settings(kind: type[T], values: Mapping[str, Any], sparsity: float, seed: int) -> T:
    """Settings of this kind for one sparsity and seed, from a method's plain values."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    chosen = {key: value for key, value in values.items() if key in known}
    return kind(**{**chosen, "sparsity": sparsity, "seed": seed})


def mask_steps(steps: int, share: float) -> int:
    """Steps of one budget for a mask and its weights that the training of the mask takes."""
    return round(share * steps)


def refuse_unusable(settings: Any, checks: Checks) -> None:
    """Raise ValueError for the first setting whose check fails, with its allowed values."""
    for name, (fine, wanted) in checks.items():
        if not fine:
            raise ValueError(f"{name} is {getattr(settings, name)!r}, but must be {wanted}")


def step_checks(settings: Any) -> Checks:
    """Checks of the settings that every training has."""
    return {
        "sparsity": (0 < settings.sparsity < 1, "between 0 and 1, both excluded"),
        "steps": (settings.steps >= 1, "at least 1"),
        "learning_rate": (settings.learning_rate > 0, "positive"),
        "warmup_steps": (settings.warmup_steps >= 0, "at least 0"),
        "weight_decay": (settings.weight_decay >= 0, "at least 0"),
        "max_grad_norm": (settings.max_grad_norm >= 0, "at least 0"),
    }


def _checks(settings: Settings) -> Checks:
    return {
        **step_checks(settings),
        "sequences_per_draw": (settings.sequences_per_draw >= 1, "at least 1"),
        "batch": (
            settings.batch >= 1 and settings.batch % max(1, settings.sequences_per_draw) == 0,
            f"a multiple of sequences_per_draw ({settings.sequences_per_draw})",
        ),
        "alpha": (_positive_pair(settings.alpha), "two positive numbers"),
        "tau": (_positive_pair(settings.tau), "two positive numbers"),
        "pattern_alpha": (
            settings.pattern_alpha is None or _positive_pair(settings.pattern_alpha),
            "two positive numbers, or left out",
        ),
        "noise": (settings.noise in NOISES, f"one of {', '.join(NOISES)}"),
        "density_strength": (settings.density_strength >= 0, "at least 0"),
        "density_scope": (settings.density_scope in SCOPES, f"one of {', '.join(SCOPES)}"),
        "magnitude": (settings.magnitude in MAGNITUDES, f"one of {', '.join(MAGNITUDES)}"),
        "magnitude_strength": (settings.magnitude_strength >= 0, "at least 0"),
        "logits_dtype": (
            settings.logits_dtype in LOGITS_DTYPES,
            f"one of {', '.join(LOGITS_DTYPES)}",
        ),
        "init_std": (settings.init_std > 0, "positive"),
        "prior_strength": (settings.prior_strength >= 0, "at least 0"),
        "selection": (settings.selection in SELECTIONS, f"one of {', '.join(SELECTIONS)}"),
    }


def _positive_pair(values: tuple[float, ...]) -> bool:
    return len(values) == 2 and all(value > 0 for value in values)
