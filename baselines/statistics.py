"""Statistics of a layer's inputs. Axes: T tokens, I inputs."""

import torch
from torch import Tensor


class NoStatistic:
    """For methods that use the weights alone."""

    def update(self, inputs_TI: Tensor) -> None:
        """Ignore the batch."""


class FeatureNorm:
    """Root mean square of each input feature over all calibration tokens, in float32.

    It differs from Wanda's ||x_j||_2 by the constant factor sqrt(tokens), which changes no ranking
    of scores and avoids overflow.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self.mean_square_I = torch.zeros(())

    def update(self, inputs_TI: Tensor) -> None:
        """Add the T tokens of one batch to the running mean."""
        tokens = inputs_TI.shape[0]
        batch_I = inputs_TI.float().square().mean(dim=0)
        self.tokens += tokens
        before_I = self.mean_square_I.to(batch_I.device)
        self.mean_square_I = before_I + (batch_I - before_I) * (tokens / self.tokens)

    @property
    def norm_I(self) -> Tensor:
        """Root mean square of each feature, [I], float32."""
        return self.mean_square_I.sqrt()
