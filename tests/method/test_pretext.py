"""Pretext tasks and the memory bank, against plain loops and by what must hold of them."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from support.models import about, assembled, composed
from unlabel.augment import colour
from unlabel.augment.tiles import cut, join, take
from unlabel.data.images import Images
from unlabel.errors import UserError
from unlabel.method import Batch
from unlabel.method.colorization import rarity, rebalanced
from unlabel.method.instance_discrimination import nce
from unlabel.method.jigsaw import maximal_hamming
from unlabel.method.mae import masked_error, standardise
from unlabel.method.relative_position import CENTRE, cell, put
from unlabel.method.sorting import sinkhorn
from unlabel.nn.patches import assemble, patchify, sincos
from unlabel.params.settings import build
from unlabel.training.loop import Training, fit


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def images(shape: tuple[int, int, int] = (1, 16, 16), n: int = 32) -> Images:
    return Images.of(
        torch.arange(n), (random(n, *shape) * 255).to(torch.uint8), torch.arange(n) % 4
    )


def hamming(a, b) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


# Tiles


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (3, 3), (4, 1)])
def test_tiles_that_fill_their_cells_join_to_the_image(rows, columns):
    x = random(2, 3, 12, 12)
    tiles = cut(x, rows, columns, 1.0)
    assert tiles.shape == (2, rows * columns, 3, 12 // rows, 12 // columns)
    assert torch.allclose(join(tiles, columns), x, atol=1e-6)


def test_a_tile_lies_inside_its_cell():
    """Each cell of the image has a number of its own, so a tile has no other."""
    x = torch.arange(9.0).view(1, 1, 3, 3).repeat_interleave(10, 2).repeat_interleave(10, 3)
    for _ in range(5):
        tiles = cut(x, 3, 3, 0.6)
        assert tiles.shape == (1, 9, 1, 6, 6)
        inner = tiles[..., 1:-1, 1:-1]  # bilinear pixels at the border may touch the next cell
        assert torch.allclose(inner, torch.arange(9.0).view(1, 9, 1, 1, 1).expand_as(inner))


@pytest.mark.parametrize("share", [0.0, 1.5, 0.01])
def test_a_share_that_leaves_no_tile_is_explained(share):
    with pytest.raises(UserError, match="method.share"):
        cut(random(1, 1, 16, 16), 3, 3, share)


def test_the_inverse_permutation_solves_the_puzzle():
    x = random(5, 3, 12, 12)
    tiles, orders = cut(x, 3, 3, 1.0), maximal_hamming(9, 5)
    puzzle = take(tiles, orders)
    for b, k in itertools.product(range(5), range(9)):
        assert torch.equal(puzzle[b, k], tiles[b, orders[b, k]])
    assert torch.allclose(join(take(puzzle, orders.argsort(1)), 3), x, atol=1e-6)


# Jigsaw


def test_permutations_are_chosen_greedily_as_far_apart_as_can_be():
    every, chosen = list(itertools.permutations(range(4))), maximal_hamming(4, 24).tolist()
    assert sorted(map(tuple, chosen)) == every  # all of them, each once
    for k in range(1, 24):
        nearest = [min(hamming(order, other) for other in chosen[:k]) for order in every]
        assert tuple(chosen[k]) == every[nearest.index(max(nearest))]


def test_the_first_nine_orders_of_nine_tiles_agree_in_no_place():
    orders = maximal_hamming(9, 64).tolist()
    assert orders[0] == list(range(9))
    assert all(sorted(order) == list(range(9)) for order in orders)
    pairs = [hamming(a, b) for a, b in itertools.combinations(orders[:9], 2)]
    assert set(pairs) == {9}
    assert min(hamming(a, b) for a, b in itertools.combinations(orders, 2)) >= 7


@pytest.mark.parametrize("together", ["true", "false"])
def test_the_loss_of_jigsaw_is_that_of_the_orders_it_showed(together):
    method = assembled(composed("jigsaw", f"method.together={together}"), about(images()))
    seen = []
    method.look = lambda puzzle: seen.append(method.__class__.look(method, puzzle)) or seen[-1]
    torch.manual_seed(0)
    x = random(6, 1, 16, 16)
    loss = next(method.step(Batch(x, torch.zeros(6), torch.arange(6), 0.0)))
    torch.manual_seed(0)
    cut(method.augment(x), 3, 3, method.share)
    which = torch.randint(64, (6,))
    total = 0.0
    for row, right in zip(seen[0].tolist(), which.tolist(), strict=True):
        total -= math.log(math.exp(row[right]) / sum(math.exp(v) for v in row))
    assert math.isclose(loss.item(), total / 6, rel_tol=1e-5)


@pytest.mark.parametrize(("tiles", "permutations"), [(2, 25), (4, 10), (3, 1)])
def test_a_puzzle_that_cannot_be_is_explained(tiles, permutations):
    variant = f"method.permutations={permutations}+method.tiles={tiles}"
    with pytest.raises(UserError, match="choose tiles"):
        assembled(composed("jigsaw", variant), about(images()))


# Relative position


def test_the_eight_places_are_the_cells_around_the_centre_in_reading_order():
    assert cell(torch.arange(8)).tolist() == [0, 1, 2, 3, 5, 6, 7, 8]


def test_the_neighbour_is_the_patch_at_its_place():
    settings = composed("relative_position", "method.share=1.0")
    method = assembled(settings, about(images((1, 12, 12))))
    x = random(8, 1, 12, 12)
    pair, tiles = method.pair(x, torch.arange(8)), cut(x, 3, 3, 1.0)
    for place in range(8):
        row, column = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)][place]
        assert torch.equal(pair[place, 0], tiles[place, CENTRE])
        assert torch.equal(pair[place, 1], tiles[place, 3 * row + column])
        picture = put(pair, torch.arange(8))[place, 0]
        patch = picture[6 * row + 1 : 6 * row + 5, 6 * column + 1 : 6 * column + 5]
        assert torch.allclose(patch, pair[place, 1, 0])


def test_brightness_and_contrast_of_a_patch_say_nothing():
    method = assembled(composed("relative_position"), about(images())).eval()
    pair = random(4, 2, 1, 5, 5)
    other = pair * torch.tensor([0.5, 2.0]).view(1, 2, 1, 1, 1) + 0.1
    assert torch.allclose(method.look(pair), method.look(other), atol=0.05)


# Sorting


def test_sinkhorn_divides_columns_and_rows_in_turn():
    scores = random(2, 9) * 4
    got = sinkhorn(scores, 3).exp()
    for b in range(2):
        m = [[math.exp(scores[b, 3 * i + j]) for j in range(3)] for i in range(3)]
        for _ in range(3):
            columns = [sum(m[i][j] for i in range(3)) for j in range(3)]
            m = [[m[i][j] / columns[j] for j in range(3)] for i in range(3)]
            m = [[v / sum(row) for v in row] for row in m]
        assert torch.allclose(got[b], torch.tensor(m), atol=1e-5)


def test_sinkhorn_ends_with_rows_and_columns_that_sum_to_one():
    p = sinkhorn(random(3, 16) * 5, 100).exp()
    assert torch.allclose(p.sum(1), torch.ones(3, 4), atol=1e-3)
    assert torch.allclose(p.sum(2), torch.ones(3, 4), atol=1e-5)


# MAE


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 8, 8)], ids=str)
def test_patches_round_trip_and_come_in_reading_order(shape):
    x = random(2, *shape)
    patches = patchify(x, 4)
    columns = shape[2] // 4
    for n in range(patches.shape[1]):
        row, column = divmod(n, columns)
        square = x[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert torch.equal(patches[:, n], square.flatten(1))
    assert torch.equal(assemble(patches, 4, shape[1:]), x)


def test_the_error_of_mae_is_the_mean_over_hidden_patches_alone():
    guess, target = random(2, 6, 4), random(2, 6, 4, seed=1)
    hide = torch.tensor([[0, 3], [5, 1]])
    squares = [
        (float(guess[b, n, p]) - float(target[b, n, p])) ** 2
        for b in range(2)
        for n in hide[b].tolist()
        for p in range(4)
    ]
    assert math.isclose(masked_error(guess, target, hide), sum(squares) / 16, rel_tol=1e-5)
    guess.requires_grad_(True)
    masked_error(guess, target, hide).backward()
    touched = guess.grad.abs().sum(2) > 0
    assert touched.nonzero().tolist() == [[0, 0], [0, 3], [1, 1], [1, 5]]


def test_standardised_patches_have_mean_0_and_variance_1():
    patches = random(2, 3, 8)
    values = patches[1, 2].tolist()
    mean = sum(values) / 8
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / 8 + 1e-6)
    expected = torch.tensor([(v - mean) / deviation for v in values])
    assert torch.allclose(standardise(patches)[1, 2], expected, atol=1e-5)


def test_the_encoder_of_mae_sees_nothing_of_hidden_patches():
    method = assembled(composed("mae"), about(images())).eval()
    x = random(2, 1, 16, 16)
    keep, hide = method.mask(patchify(x, method.patch))
    assert sorted(torch.cat([keep, hide], 1)[0].tolist()) == list(range(16))
    patches = patchify(x, method.patch)
    patches[torch.arange(2)[:, None], hide] = 0.7
    other = assemble(patches, method.patch, (16, 16))
    got = [method.decode(method.encoder.tokens(each, keep), keep) for each in (x, other)]
    assert torch.equal(*got)


def test_maes_pictures_use_nothing_of_hidden_patches():
    method = assembled(composed("mae"), about(images())).eval()
    x = random(2, 1, 16, 16)
    keep, hide = method.mask(patchify(x, method.patch))
    method.mask = lambda patches: (keep, hide)
    patches = patchify(x, method.patch)
    patches[torch.arange(2)[:, None], hide] = 0.7
    other = assemble(patches, method.patch, (16, 16))
    shown = [list(method.show(each).values()) for each in (x, other)]
    assert torch.equal(shown[0][1], shown[1][1])
    assert torch.equal(shown[0][2], shown[1][2])
    assert not torch.equal(shown[0][2], x)


def test_mae_says_which_encoders_have_patches():
    with pytest.raises(UserError, match="not ResNetMini; set encoder=vit_mini"):
        assembled(composed("mae", "encoder=resnet_mini"), about(images()))


def test_places_in_a_grid_are_all_different_and_neighbours_alike():
    place = sincos(5, 16)
    assert place.shape == (25, 16)
    distance = torch.cdist(place, place)
    assert (distance + torch.eye(25) > 0.1).all()
    assert distance[0, 1] < distance[0, 4]
    assert torch.allclose(distance[0, 1], distance[0, 5])  # a column on, and a row on


@pytest.mark.parametrize("name", ["vit_mini", "vit_tiny"])
def test_a_vision_transformer_sees_other_sizes_that_divide_into_patches(name):
    encoder = assembled(composed("simclr", f"encoder={name}"), about(images())).encoder.eval()
    assert encoder.maps(random(2, 1, 8, 12)).shape == (2, encoder.dim, 2, 3)
    with pytest.raises(UserError, match="choose multiples of the patch"):
        encoder(random(2, 1, 10, 10))


# Colorization


def test_luma_and_chroma_join_to_the_colours():
    x = random(2, 3, 4, 4)
    luma, chroma = colour.separate(x)
    r, g, b = x[0, :, 1, 2].tolist()
    assert math.isclose(luma[0, 0, 1, 2], 0.299 * r + 0.587 * g + 0.114 * b, rel_tol=1e-5)
    assert torch.allclose(colour.join(luma, chroma), x, atol=1e-5)
    grey = random(2, 1, 4, 4).expand(-1, 3, -1, -1)
    assert colour.separate(grey)[1].abs().max() < 1e-3


@pytest.mark.parametrize("bins", [colour.chroma_bins(0.1), colour.intensity_bins(0.1)])
def test_bins_invert(bins):
    """The most weighted bin of a value is the nearest, and of a bin's own value that bin."""
    assert len(bins.unique(dim=0)) == len(bins)
    own = colour.soft_encode(bins.T[None, :, :, None], bins, 0.05)
    assert own.argmax(1).flatten().tolist() == list(range(len(bins)))
    assert torch.allclose(own.sum(1), torch.ones(1, len(bins), 1))
    sharp = colour.recolour((own.clamp(min=1e-9).log() / 0.01).softmax(1), bins.T)
    assert torch.allclose(sharp[0, :, :, 0].T, bins, atol=1e-4)


def test_every_colour_is_near_a_bin():
    bins = colour.chroma_bins(0.1)
    _, chroma = colour.separate(random(1, 3, 50, 50))
    nearest = torch.cdist(chroma[0].flatten(1).T, bins).amin(1)
    assert nearest.max() <= 0.1 * 2**0.5 / 2 + 0.01  # half a diagonal


def test_soft_encoding_is_a_gaussian_of_the_five_nearest_bins():
    bins, values, sigma = colour.chroma_bins(0.2), random(1, 2, 2, 2) - 0.5, 0.1
    got = colour.soft_encode(values, bins, sigma)
    for i, j in itertools.product(range(2), range(2)):
        point = values[0, :, i, j].tolist()
        square = [sum((p - q) ** 2 for p, q in zip(point, b, strict=True)) for b in bins.tolist()]
        near = sorted(range(len(bins)), key=square.__getitem__)[:5]
        weight = {q: math.exp(-square[q] / (2 * sigma**2)) for q in near}
        total = sum(weight.values())
        expected = torch.tensor([weight.get(q, 0.0) / total for q in range(len(bins))])
        assert torch.allclose(got[0, :, i, j], expected, atol=1e-5)


def test_rare_bins_weigh_more_and_1_on_average():
    prior, mix = torch.tensor([0.7, 0.2, 0.1]), 0.5
    raw = [1 / ((1 - mix) * p + mix / 3) for p in prior.tolist()]
    mean = sum(p * w for p, w in zip(prior.tolist(), raw, strict=True))
    assert torch.allclose(rarity(prior, mix), torch.tensor([w / mean for w in raw]))
    assert rarity(prior, mix).diff().min() > 0


def test_the_loss_of_colorization_is_equation_2():
    logits, weight = random(2, 3, 2, 2), torch.tensor([0.5, 1.0, 2.0])
    target = random(2, 3, 2, 2, seed=1).softmax(1)
    total = 0.0
    for b, i, j in itertools.product(range(2), repeat=3):
        below = sum(math.exp(v) for v in logits[b, :, i, j].tolist())
        z = target[b, :, i, j].tolist()
        guess = [math.exp(v) / below for v in logits[b, :, i, j].tolist()]
        v = weight[z.index(max(z))].item()
        total -= v * sum(p * math.log(q) for p, q in zip(z, guess, strict=True))
    assert math.isclose(rebalanced(logits, target, weight), total / 8, rel_tol=1e-5)


# Instance discrimination


def test_noise_contrastive_estimation_is_equations_5_to_7():
    n, m, z = 50, 4, 30.0
    positive, noise = random(3) * 4, random(3, m, seed=1) * 4
    total = 0.0
    for i in range(3):
        p = [math.exp(s) / z for s in (positive[i].item(), *noise[i].tolist())]
        h = [each / (each + m / n) for each in p]
        total -= math.log(h[0]) + sum(math.log(1 - each) for each in h[1:])
    got = nce(positive, noise, torch.tensor(z), n)
    assert math.isclose(got, total / 3, rel_tol=1e-5)


def memory(variant: str):
    data = images()
    settings = composed("instance_discrimination", variant)
    return assembled(settings, about(data)), data, settings


@pytest.mark.parametrize("negatives", ["null", "8"])
def test_the_memory_bank_after_some_steps_is_what_hand_computation_gives(negatives, hardware):
    method, data, settings = memory(f"method.momentum=0.3+method.negatives={negatives}")
    bank, seen, embed = method.bank.clone(), [], method.embed
    method.embed = lambda h: seen.append(embed(h)) or seen[-1]
    indices, step = [], method.step
    method.step = lambda batch: indices.append(batch.i) or step(batch)
    optimizers = [build(settings["optimizer"], module=method)]
    list(fit(method, data, optimizers, Training(epochs=2, batch=8), hardware, 0))
    assert len(seen) == 8
    for v, index in zip(seen, indices, strict=True):
        for row, i in zip(v.detach(), index.tolist(), strict=True):
            mixed = [0.3 * old + 0.7 * new for old, new in zip(bank[i], row, strict=True)]
            norm = math.sqrt(sum(value**2 for value in mixed))
            bank[i] = torch.tensor([value / norm for value in mixed])
    assert torch.allclose(method.bank, bank, atol=1e-5)


def test_the_full_softmax_is_equation_2_plus_the_proximal_term():
    method, _, _ = memory("method.proximal=0.7")
    method.eval()
    x, i = random(4, 1, 16, 16), torch.tensor([3, 0, 31, 7])
    seen, embed = [], method.embed
    method.embed = lambda h: seen.append(embed(h)) or seen[-1]
    bank = method.bank.clone()
    loss = next(method.step(Batch(x, i, i, 0.0))).item()
    v = seen[0].detach()
    total = 0.0
    for row, own in zip(v, i.tolist(), strict=True):
        p = [math.exp(float(row @ other) / method.temperature) for other in bank]
        total -= math.log(p[own] / sum(p))
        total += 0.7 * float(((row - bank[own]) ** 2).sum())
    assert math.isclose(loss, total / 4, rel_tol=1e-4)


def test_the_constant_z_is_estimated_once(hardware):
    method, data, settings = memory("method.negatives=16")
    optimizers = [build(settings["optimizer"], module=method)]
    estimates = []
    for _ in fit(method, data, optimizers, Training(epochs=2, batch=8), hardware, 0):
        estimates.append(method.z.item())
    assert estimates[0] > 0
    assert len(set(estimates)) == 1
    rows = F.normalize(torch.randn(400, 128, generator=torch.Generator().manual_seed(0)), dim=1)
    mean = (rows @ rows[0] / method.temperature)[1:].exp().mean().item()
    assert 0.5 < estimates[0] / (32 * mean) < 2  # n times the mean over random rows
