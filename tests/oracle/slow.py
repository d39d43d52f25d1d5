"""Slow layer-wise pruning: float64, loops over rows and columns, explicit inverses.

Written from the papers' formulas, without `baselines`. Every function takes a weight [O, I], inputs
[T, I] and the number of surviving weights, and returns the pruned weight and its mask.
"""

import torch


def second_moment(inputs, damping=0.0):
    """X^T X / T, plus a fraction of the mean of its live diagonal; dead features get a 1."""
    hessian = inputs.T @ inputs / len(inputs)
    diagonal = hessian.diagonal().clone()
    dead = diagonal == 0
    mean = diagonal[~dead].mean() if (~dead).any() else 0.0
    return hessian + torch.diag(dead.double() + damping * mean)


def smallest(scores, count):
    """Indices of the `count` smallest values, of equal values the later ones."""
    order = sorted(range(len(scores)), key=lambda place: (scores[place], -place))
    return order[:count]


def wanda(weight, inputs, keep):
    """Lowest |w| ||x|| in the whole layer."""
    norm = inputs.pow(2).sum(0).sqrt()
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[smallest((weight.abs() * norm).flatten().tolist(), weight.numel() - keep)] = False
    return weight * mask.view_as(weight), mask.view_as(weight)


def sparsegpt(weight, inputs, keep, block=128, damping=0.01, group=None):
    """Optimal brain surgeon, column by column from left to right, by inverses of the rest."""
    weight, mask = weight.clone(), torch.ones_like(weight, dtype=torch.bool)
    rows, columns = weight.shape
    hessian = second_moment(inputs, damping)
    dead = inputs.abs().sum(0) == 0
    inverse_corner = [torch.linalg.inv(hessian[j:, j:])[0, 0] for j in range(columns)]
    removed_dead = min(int(dead.sum()) * rows, weight.numel() - keep)
    removed_live = weight.numel() - keep - removed_dead

    def share(total, among, end):
        return total * int(among[:end].sum()) // max(1, int(among.sum()))

    def score(row, j):
        return -1.0 if dead[j] else float(weight[row, j] ** 2 / inverse_corner[j])

    for j in range(columns):
        if group is None and j % block == 0:
            end = min(j + block, columns)
            quota = share(removed_dead, dead, end) - share(removed_dead, dead, j)
            quota += share(removed_live, ~dead, end) - share(removed_live, ~dead, j)
            # ties are broken column by column
            cells = [(row, column) for column in range(j, end) for row in range(rows)]
            for place in smallest([score(*cell) for cell in cells], quota):
                mask[cells[place]] = False
        if group and j % group[1] == 0:
            for row in range(rows):
                costs = [
                    float(weight[row, c] ** 2 / inverse_corner[c]) for c in range(j, j + group[1])
                ]
                for place in smallest(costs, group[1] - group[0]):
                    mask[row, j + place] = False
        inverse = torch.linalg.inv(hessian[j:, j:])
        for row in range(rows):
            if not mask[row, j]:
                weight[row, j:] -= weight[row, j] / inverse[0, 0] * inverse[0]
    return weight * mask, mask


def thanos(weight, inputs, keep, block=128, damping=0.01):
    """Block by block, all removed weights of a row at once, by the inverse of the rest."""
    weight, mask = weight.clone(), torch.ones_like(weight, dtype=torch.bool)
    rows, columns = weight.shape
    hessian = second_moment(inputs, damping)
    norm = inputs.pow(2).mean(0).sqrt()
    left = weight.numel() - keep
    for start in range(0, columns, block):
        end = min(start + block, columns)
        rest = (weight[:, start:].abs() * norm[start:]).flatten().tolist()
        for place in smallest(rest, left):
            row, column = divmod(place, columns - start)
            if column < end - start:
                mask[row, start + column] = False
        left = weight.numel() - keep - int((~mask).sum())
        inverse = torch.linalg.inv(hessian[start:, start:])
        for row in range(rows):
            gone = [c for c in range(end - start) if not mask[row, start + c]]
            if gone:
                force = torch.linalg.solve(inverse[gone][:, gone], weight[row, start:][gone])
                weight[row, start:] -= force @ inverse[gone]
    return weight * mask, mask


def admm(weight, inputs, keep, schedule="cubic", iterations=20, mask_iterations=15, damping=0.1):
    """The paper's updates, each a dense solve; rho is 1.

    Weights that survive on a dead feature stay as they are.
    """
    norm = inputs.pow(2).mean(0).sqrt()
    divisor = torch.where(norm == 0, torch.ones_like(norm), norm)
    hessian = second_moment(inputs / divisor, damping)
    dense = (weight * norm).T
    identity = torch.eye(len(hessian), dtype=torch.float64)
    current, dual = dense, torch.zeros_like(dense)
    for iteration in range(iterations):
        if iteration < mask_iterations:
            fraction = 1 - (1 - (iteration + 1) / mask_iterations) ** 3
            removed = weight.numel() - keep
            if schedule == "cubic":
                removed = round(removed * fraction)
            mask = torch.ones(weight.numel(), dtype=torch.bool)
            mask[smallest((current + dual).T.abs().flatten().tolist(), removed)] = False
            mask = mask.view_as(weight).T
        sparse = (current + dual) * mask
        dual = dual + current - sparse
        current = torch.linalg.solve(hessian + identity, hessian @ dense + sparse - dual)
    new = ((current + dual) / divisor[:, None]).T
    return torch.where(norm == 0, weight, new) * mask.T, mask.T


def alps(weight, inputs, keep, rho=0.1, iterations=300, steps=10, damping=0.01):
    """The paper's B, D and V, each B a dense solve; conjugate gradients row by row.

    Weights that survive on a dead feature stay as they are. Magnitudes are compared in float32.
    """
    dead = inputs.abs().sum(0) == 0
    hessian = second_moment(inputs, damping)
    divisor = hessian.diagonal().sqrt()
    hessian = hessian / divisor / divisor[:, None]
    dense = (weight * torch.where(dead, torch.zeros_like(divisor), divisor)).T
    identity = torch.eye(len(hessian), dtype=torch.float64)

    def kept(scores):
        mask = torch.ones(weight.numel(), dtype=torch.bool)
        order = smallest(scores.T.abs().float().flatten().tolist(), weight.numel() - keep)
        mask[order] = False
        return mask.view_as(weight).T

    current, sparse, dual = dense, dense * kept(dense), torch.zeros_like(dense)
    mask = before = kept(dense)
    started = False
    for iteration in range(1, iterations + 1):
        right = hessian @ dense - dual + rho * sparse
        current = torch.linalg.solve(hessian + rho * identity, right)
        mask = kept(current + dual / rho)
        sparse = (current + dual / rho) * mask
        dual = dual + rho * (current - sparse)
        if iteration % 3 == 0:
            changed = int((mask ^ before).sum())
            before = mask
            if iteration > 30 and changed < 0.0003 * keep:
                break
            if changed > 0.005 * keep:
                started = True
                rho *= 1.3 if changed > 0.1 * keep else 1.2
            elif not started:
                rho /= 5
                if changed:
                    sparse, dual = dense * kept(dense), torch.zeros_like(dense)
            elif changed:
                rho *= 1.1
            else:
                break
            rho = min(rho, 1e6)
    mask = kept(current)
    new = (current * mask).T.clone()
    for row, inside in enumerate(mask.T):
        residual = (hessian @ (dense[:, row] - new[row])) * inside
        direction = residual
        for _ in range(steps):
            if residual.norm() < 1e-14:
                break
            image = (hessian @ direction) * inside
            length = residual.dot(residual) / direction.dot(image)
            following = residual - length * image
            new[row] += length * direction
            direction = following + following.dot(following) / residual.dot(residual) * direction
            residual = following
    return torch.where(dead, weight, new / divisor) * mask.T, mask.T
