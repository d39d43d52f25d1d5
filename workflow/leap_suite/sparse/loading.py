"""Packed checkpoints as transformers models, which generate from their packed weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from safetensors import safe_open
from torch import nn
from transformers.quantizers.auto import register_quantization_config, register_quantizer
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin, QuantizationMethod

from leap.model.layers import prunable_linears
from leap_suite.sparse import dense
from leap_suite.sparse.container import METHOD, PARTS, layers_of, read_packed
from leap_suite.sparse.layer import PackedLinear
from leap_suite.stages.models import load_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load(folder: str | Path, device: str = "cpu") -> "PreTrainedModel":
    """Model of a packed checkpoint (`leap_suite.sparse.container`), in its dtype.

    Raises ValueError for a folder that has no packed checkpoint, a damaged one, or one whose
    layers are not those of its config.
    """
    read_packed(Path(folder))
    return load_model(folder, "auto", device)


@register_quantization_config(METHOD)
class BitmaskConfig(QuantizationConfigMixin):
    """Entry `quantization_config` of a packed checkpoint's config.json, which has no settings."""

    def __init__(self, quant_method: str = METHOD, **other: Any) -> None:
        self.quant_method = cast(QuantizationMethod, quant_method)  # an enum of those built in


@register_quantizer(METHOD)
class BitmaskQuantizer(HfQuantizer):
    """Builds packed layers before transformers loads the tensors of a packed checkpoint."""

    requires_calibration = True  # transformers does not pack dense checkpoints

    def _process_model_before_weight_loading(
        self, model: "PreTrainedModel", checkpoint_files: list[str] | None = None, **other: Any
    ) -> None:
        shapes = _shapes(checkpoint_files or [])
        linears = prunable_linears(model)
        if sorted(linears) != sorted(layers_of(shapes)):
            raise ValueError("the packed layers are not those of the model that config.json names")
        for name, linear in linears.items():
            layer = PackedLinear(linear, *shapes[f"{name}.kept"])
            for part in PARTS:
                expected = list(getattr(layer, part).shape)
                if shapes[f"{name}.{part}"] != expected:
                    raise ValueError(f"{name}: {part} has shape {shapes[f'{name}.{part}']}, "
                                     f"and the model's layer needs {expected}")  # fmt: skip
            model.set_submodule(name, layer)
        head = model.get_output_embeddings()
        if type(head) is nn.Linear:
            model.set_output_embeddings(dense.like(head))

    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return False


def _shapes(files: list[str]) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = {}
    for path in files:
        with safe_open(path, "pt") as file:
            names = file.keys()
            shapes |= {name: file.get_slice(name).get_shape() for name in names}
    return shapes
