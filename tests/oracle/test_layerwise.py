"""Layer-wise methods against slow implementations in float64, and properties of all of them."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from baselines import admm, alps, magnitude, sparsegpt, thanos, wanda
from baselines.hessian import Hessian, factor_events, inverse_factor
from baselines.selection import keep_n_of_m
from baselines.statistics import FeatureNorm
from tests.oracle import slow

ALL = [magnitude, wanda, sparsegpt, thanos, admm, alps]
SECOND_ORDER = [sparsegpt, thanos, admm, alps]


class DoubleHessian:
    """The statistic in float64, so that both sides see the same numbers."""

    def __init__(self, inputs_TI):
        self.mean_II = inputs_TI.T @ inputs_TI / len(inputs_TI)
        self.norm_I = self.mean_II.diagonal().sqrt()

    def take(self):
        return self.mean_II


def correlated(tokens, features, seed, strength=1.0):
    generator = seeded(seed)
    mixing = torch.randn(features, features, generator=generator) / features**0.5
    return torch.randn(tokens, features, generator=generator) @ (
        torch.eye(features) + strength * mixing
    )


PROBLEMS = {
    "plain": lambda weight, inputs: (weight, inputs),
    "wide": lambda weight, inputs: (torch.randn(3, 150, generator=seeded(7)),
                                    correlated(400, 150, seed=4)),
    "one row": lambda weight, inputs: (weight[:1], inputs),
    "one column": lambda weight, inputs: (weight[:, :1], inputs[:, :1]),
    "rank-deficient": lambda weight, inputs: (weight, inputs[:9]),
    "constant columns": lambda weight, inputs: (weight, filled(inputs, [4, 11], 2.0)),
    "dead columns": lambda weight, inputs: (weight, filled(inputs, DEAD, 0.0)),
    "all dead": lambda weight, inputs: (weight, torch.zeros_like(inputs)),
    "ties": lambda weight, inputs: (weight.sign(), torch.eye(21)),
}  # fmt: skip
DEAD = [2, 3, 17]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def filled(inputs, columns, value):
    return inputs.index_fill(1, torch.tensor(columns), value)


def problem(name):
    """A weight and inputs with a difficulty."""
    weight = torch.randn(5, 21, generator=seeded(7))
    weight, inputs = PROBLEMS[name](weight, correlated(80, 21, seed=3))
    return weight.double(), inputs.double()


def run(method, weight, inputs, keep, **options):
    chosen = method.Settings(**options)
    prepared = method.prepare(DoubleHessian(inputs), chosen)
    new, mask = method.prune(weight, prepared, keep, chosen)
    return new.masked_fill(~mask, 0), mask


CASES = {
    "wanda": (wanda, slow.wanda, {"budget": "layer"}, {}),
    "sparsegpt": (sparsegpt, slow.sparsegpt, {"double": True}, {}),
    "sparsegpt, blocks of 8": (sparsegpt, slow.sparsegpt, {"double": True, "block": 8},
                               {"block": 8}),
    "thanos": (thanos, slow.thanos, {"double": True}, {}),
    "thanos, blocks of 8": (thanos, slow.thanos, {"double": True, "block": 8}, {"block": 8}),
    "admm": (admm, slow.admm, {}, {}),
    "admm, constant": (admm, slow.admm, {"schedule": "constant"}, {"schedule": "constant"}),
    "alps": (alps, slow.alps, {}, {}),
    "alps, from a large penalty": (alps, slow.alps, {"rho": 200.0}, {"rho": 200.0}),
    "alps, cut short": (alps, slow.alps, {"iterations": 7, "steps": 2},
                        {"iterations": 7, "steps": 2}),
}  # fmt: skip


@pytest.mark.parametrize("sparsity", [0.5, 0.63])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("case", CASES)
def test_fast_is_slow(case, name, sparsity):
    method, oracle, fast_options, slow_options = CASES[case]
    weight, inputs = problem(name)
    keep = round(weight.numel() * (1 - sparsity))
    new, mask = run(method, weight.clone(), inputs, keep, **fast_options)
    expected, expected_mask = oracle(weight, inputs, keep, **slow_options)
    assert int(mask.sum()) == keep
    assert torch.equal(mask, expected_mask)
    torch.testing.assert_close(new.double(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("group", [(2, 4), (4, 8)])
def test_sparsegpt_n_of_m_is_slow(group):
    weight, inputs = problem("wide")
    weight, inputs = weight[:, :144], inputs[:, :144]
    budget = f"{group[0]}:{group[1]}"
    new, mask = run(sparsegpt, weight, inputs, weight.numel() // 2, budget=budget, double=True)
    expected, expected_mask = slow.sparsegpt(weight, inputs, 0, group=group)
    assert torch.equal(mask, expected_mask)
    torch.testing.assert_close(new, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("budget", ["2:4", "4:8"])
@pytest.mark.parametrize("method", [magnitude, wanda, sparsegpt, admm, alps])
def test_n_of_m_holds_in_every_group(method, budget):
    weight = torch.randn(6, 40, generator=seeded(0))
    inputs = correlated(100, 40, seed=1)
    _, mask = prune(method, weight, inputs, 120, budget=budget)
    size = int(budget[2])
    assert (mask.view(6, -1, size).sum(dim=2) == size // 2).all()


def test_rows_that_cannot_be_cut_into_groups_are_refused():
    with pytest.raises(ValueError, match="rows of 6 weights cannot be cut into groups of 4"):
        keep_n_of_m(torch.ones(2, 6), 2, 4)


def prune(method, weight, inputs, keep, **options):
    """As the driver does it: the method's own statistic, batch by batch."""
    statistic = method.Statistic()
    for batch in inputs.split(7):
        statistic.update(batch)
    chosen = method.Settings(**options)
    new, mask = method.prune(weight, method.prepare(statistic, chosen), keep, chosen)
    return new.masked_fill(~mask, 0), mask


@st.composite
def layers(draw):
    """Weight [O, I] with ties now and then, inputs [T, I] with dead columns, and survivors."""
    rows, columns = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**31))
    inputs = correlated(draw(st.integers(2, 100)), columns, seed)
    dead = draw(st.sets(st.integers(0, columns - 1), max_size=3))
    inputs[:, sorted(dead)] = 0
    weight = torch.randn(rows, columns, generator=seeded(seed + 1))
    if draw(st.booleans()):
        weight = weight.round()
    return weight, inputs, draw(st.integers(0, rows * columns))


@pytest.mark.parametrize("method", ALL)
@settings(deadline=None, max_examples=60)
@given(layer=layers())
def test_counts_are_exact(method, layer):
    weight, inputs, keep = layer
    new, mask = prune(method, weight, inputs, keep)
    assert mask.dtype == torch.bool
    assert int(mask.sum()) == keep
    assert torch.isfinite(new).all()


@pytest.mark.parametrize("method", ALL)
@settings(deadline=None, max_examples=30)
@given(layer=layers())
def test_nothing_removed_is_nothing_changed(method, layer):
    weight, inputs, _ = layer
    new, mask = prune(method, weight, inputs, weight.numel())
    assert mask.all()
    assert torch.equal(new, weight)


def error(weight, new, inputs):
    return float(((new - weight).double() @ inputs.double().T).square().sum())


@pytest.mark.parametrize("method", [thanos, admm, alps])
@settings(deadline=None, max_examples=100)
@given(layer=layers())
def test_outputs_are_never_further_off_than_wandas(method, layer):
    """No theorem: at the edges (a row or two, few columns, nearly nothing left) it can fail."""
    weight, inputs, keep = layer
    assume(weight.shape[0] >= 4 and weight.shape[1] >= 8)
    keep = max(keep, -(-weight.numel() // 5))
    ours = error(weight, prune(method, weight, inputs, keep)[0], inputs)
    wandas = error(weight, prune(wanda, weight, inputs, keep, budget="layer")[0], inputs)
    assert ours <= wandas * (1 + 1e-4) + 1e-3


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**31), sparsity=st.sampled_from([0.3, 0.5]))
def test_sparsegpt_beats_wanda_on_weakly_correlated_inputs(seed, sparsity):
    """On strongly correlated ones it need not: its scores do not foresee what it removes later."""
    inputs = correlated(160, 40, seed, strength=0.3)
    weight = torch.randn(24, 40, generator=seeded(seed + 1))
    keep = round(weight.numel() * (1 - sparsity))
    ours = error(weight, prune(sparsegpt, weight, inputs, keep)[0], inputs)
    assert ours < error(weight, prune(wanda, weight, inputs, keep, budget="layer")[0], inputs)


@pytest.mark.parametrize("method", ALL)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31))
def test_rows_in_another_order_give_the_result_in_that_order(method, seed):
    generator = seeded(seed)
    weight, inputs = torch.randn(9, 20, generator=generator), correlated(60, 20, seed)
    order = torch.randperm(9, generator=generator)
    new, mask = prune(method, weight, inputs, 72)
    moved, moved_mask = prune(method, weight[order], inputs, 72)
    assert torch.equal(moved_mask, mask[order])
    torch.testing.assert_close(moved, new[order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("statistic", "error"), [(Hessian, 1e-4), (alps.Statistic, 1e-13)])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 130])
def test_hessian_in_batches_is_the_mean_product(width, statistic, error):
    inputs = correlated(50, width, seed=0)
    gathered = statistic()
    for batch in inputs.split(8):
        gathered.update(batch)
    found = gathered.take()
    expected = (inputs.double().T @ inputs.double() / 50).to(found.dtype)
    torch.testing.assert_close(found, expected, rtol=error, atol=error / 10)
    assert torch.equal(found, found.T)


def test_damping_grows_tenfold_until_the_factorisation_works_and_is_recorded():
    # eigenvalues 2.05 and -0.05: what rounding makes of a singular matrix, exaggerated
    hessian = torch.tensor([[1.0, 1.05], [1.05, 1.0]])
    factor = inverse_factor(hessian, 0.001, torch.float32)
    assert factor.retries == 2
    assert factor.damping == pytest.approx(0.1)
    assert factor_events(factor) == {"damping_retries": 2, "damping": factor.damping}


def test_damping_has_a_cap_and_no_fallback_behind_it():
    with pytest.raises(ValueError, match=r"damping from 0.01 to 1 of its mean diagonal"):
        inverse_factor(torch.tensor([[1.0, 3.0], [3.0, 1.0]]), 0.01, torch.float32)


def test_inputs_that_are_not_finite_are_refused():
    statistic = Hessian()
    statistic.update(torch.tensor([[1.0, float("inf")]]))
    with pytest.raises(ValueError, match="NaN or inf"):
        statistic.take()


@pytest.mark.parametrize("method", SECOND_ORDER)
def test_dead_columns_are_removed_first_and_recorded(method):
    weight, inputs = (tensor.float() for tensor in problem("dead columns"))
    statistic = method.Statistic()
    statistic.update(inputs)
    prepared = method.prepare(statistic, method.Settings())
    assert method.events(prepared) == {"dead_columns": 3}
    new, mask = method.prune(weight, prepared, 60, method.Settings())
    assert not mask[:, DEAD].any()
    assert torch.isfinite(new).all()


def test_statistics_of_one_pass_know_the_same_norms():
    inputs = correlated(64, 10, seed=2)
    norm, hessian = FeatureNorm(), Hessian()
    for batch in inputs.split(9):
        norm.update(batch)
        hessian.update(batch)
    torch.testing.assert_close(norm.norm_I, hessian.take().diagonal().sqrt())
