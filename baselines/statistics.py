"""What a method needs to know about the inputs of a layer. Axes: T tokens, I inputs."""

import torch
from torch import Tensor


class NoStatistic:
    """For methods that look at the weights alone."""

    def update(self, inputs_TI: Tensor) -> None:
        """Nothing is kept."""


class FeatureNorm:
    """Root mean square of each input feature over all calibration tokens, in float32.

    It differs from Wanda's ||x_j||_2 by the constant factor sqrt(tokens), which changes no
    comparison of scores and keeps the running value free of overflow.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self.mean_square_I = torch.zeros(())

    def update(self, inputs_TI: Tensor) -> None:
        """Add the T tokens of one batch to the running mean."""
        tokens = inputs_TI.shape[0]
        batch_I = inputs_TI.float().square().mean(dim=0)
        self.tokens += tokens
        self.mean_square_I = self.mean_square_I.to(batch_I.device)
        self.mean_square_I = self.mean_square_I + (batch_I - self.mean_square_I) * (
            tokens / self.tokens
        )

    @property
    def norm_I(self) -> Tensor:
        """The root mean square of each feature, [I], float32."""
        return self.mean_square_I.sqrt()
