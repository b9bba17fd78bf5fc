"""Tiles, jigsaw puzzles, relative positions and sorted strips, against plain loops."""

import itertools
import math

import pytest
import torch

from support.batches import images, noise
from support.models import about, assembled, composed
from unlabel.augment.tiles import cut, join, take
from unlabel.errors import UserError
from unlabel.method import Batch
from unlabel.method.jigsaw import maximal_hamming
from unlabel.method.relative_position import CENTRE, cell, put
from unlabel.method.sorting import sinkhorn


def hamming(a, b) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


# Tiles


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (3, 3), (4, 1)])
def test_tiles_that_fill_their_cells_join_to_the_image(rows, columns):
    x = noise(2, 3, 12, 12)
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
        cut(noise(1, 1, 16, 16), 3, 3, share)


def test_the_inverse_permutation_solves_the_puzzle():
    x = noise(5, 3, 12, 12)
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
    x = noise(6, 1, 16, 16)
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
    x = noise(8, 1, 12, 12)
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
    pair = noise(4, 2, 1, 5, 5)
    other = pair * torch.tensor([0.5, 2.0]).view(1, 2, 1, 1, 1) + 0.1
    assert torch.allclose(method.look(pair), method.look(other), atol=0.05)


# Sorting


def test_sinkhorn_divides_columns_and_rows_in_turn():
    scores = noise(2, 9) * 4
    got = sinkhorn(scores, 3).exp()
    for b in range(2):
        m = [[math.exp(scores[b, 3 * i + j]) for j in range(3)] for i in range(3)]
        for _ in range(3):
            columns = [sum(m[i][j] for i in range(3)) for j in range(3)]
            m = [[m[i][j] / columns[j] for j in range(3)] for i in range(3)]
            m = [[v / sum(row) for v in row] for row in m]
        assert torch.allclose(got[b], torch.tensor(m), atol=1e-5)


def test_sinkhorn_ends_with_rows_and_columns_that_sum_to_one():
    p = sinkhorn(noise(3, 16) * 5, 100).exp()
    assert torch.allclose(p.sum(1), torch.ones(3, 4), atol=1e-3)
    assert torch.allclose(p.sum(2), torch.ones(3, 4), atol=1e-5)
