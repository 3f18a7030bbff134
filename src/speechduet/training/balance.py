"""How much each loss pulls at the shared encoder, and weights that make them pull as asked.

The paper weighs both losses by 0.5, whatever their scales. GradNorm (Chen et al. 2018) looks at
what matters to shared weights instead, the norms of the losses' gradients there; here, as with its
asymmetry of 0, the two are kept at a fixed ratio.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SMOOTHING = 0.9


def gradient_norms(losses: Iterable[Tensor], shared: nn.Module) -> Tensor:
    """Euclidean norm of each loss's gradient over the parameters of a module, ``[losses]``.

    The graph is kept for the step's own backward pass.
    """
    parameters = [p for p in shared.parameters() if p.requires_grad]
    norms = []
    for loss in losses:
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        norms.append(
            torch.stack([g.norm() for g in gradients if g is not None]).norm().nan_to_num(0, 0, 0)
        )
    return torch.stack(norms)


class Balance(nn.Module):
    """Weights of the generative and the predictive loss from their smoothed gradient norms.

    The shares asked for become those of the gradient at the encoder; the weights' sum stays that
    of the shares.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("norms", torch.zeros(2))
        self.norms: Tensor

    def observe(self, norms: Tensor) -> None:
        """Take note of newly measured norms ``[2]``."""
        known = torch.where(self.norms > 0, self.norms, norms)
        self.norms.copy_(SMOOTHING * known + (1 - SMOOTHING) * norms)

    def weights(self, generative: float, predictive: float) -> tuple[Tensor, Tensor]:
        """The two weights, for shares; the shares themselves before anything is measured."""
        shares = self.norms.new_tensor([generative, predictive])
        wanted = shares / self.norms
        weights = shares.sum() * wanted / wanted.sum()
        weights = torch.where((self.norms > 0).all(), weights, shares)
        return weights[0], weights[1]
