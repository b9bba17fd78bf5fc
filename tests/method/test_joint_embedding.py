"""Joint-embedding losses against plain-loop transcriptions of their papers' equations.

The loops are in Python's floats, from the papers; then come identities between methods, and what
follows an update: queues, slow copies and centres against a computation by hand.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from support.models import about, assembled, composed
from unlabel.augment import Augment
from unlabel.errors import UserError
from unlabel.method import Batch
from unlabel.method.barlow import barlow_twins
from unlabel.method.byol import regression
from unlabel.method.looc import leave_one_out
from unlabel.method.moco_v3 import contrast
from unlabel.method.nnclr import nearest
from unlabel.method.simclr import nt_xent
from unlabel.method.simsiam import distance
from unlabel.method.supcon import supervised_contrastive
from unlabel.method.swav import sinkhorn
from unlabel.method.vicreg import covariance, variance
from unlabel.nn.layers import Prototypes, Teacher, cosine, mlp
from unlabel.nn.losses import cross_prediction, info_nce
from unlabel.training import loop
from unlabel.training.optimizer import sgd

GENERATOR = torch.Generator().manual_seed(0)
A, B = torch.randn(8, 5, generator=GENERATOR), torch.randn(8, 5, generator=GENERATOR)
QUEUE = F.normalize(torch.randn(6, 5, generator=GENERATOR), dim=1)


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


def cos(a, b) -> float:
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def softmax(logits: list[float]) -> list[float]:
    total = sum(math.exp(x) for x in logits)
    return [math.exp(x) / total for x in logits]


def close(loss, expected: float) -> bool:
    return math.isclose(loss.item(), expected, rel_tol=1e-4, abs_tol=1e-6)


# Losses


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_info_nce_with_a_queue_is_equation_1_of_moco(temperature):
    total = 0.0
    for q, k in zip(A, B, strict=True):
        above = math.exp(cos(q, k) / temperature)
        below = above + sum(math.exp(cos(q, each) / temperature) for each in QUEUE)
        total += -math.log(above / below)
    assert close(F.cross_entropy(*info_nce(A, B, temperature, QUEUE)), total / len(A))


def test_info_nce_in_a_batch_and_moco_v3s_contrast_are_their_equations():
    total = 0.0
    for i, q in enumerate(A):
        total += -math.log(softmax([cos(q, k) / 0.2 for k in B])[i])
    assert close(F.cross_entropy(*info_nce(A, B, 0.2)), total / len(A))
    assert close(contrast(A, B, 0.2), 2 * 0.2 * total / len(A))  # algorithm 1: times 2 tau


def test_regression_is_equation_2_of_byol():
    total = 0.0
    for p, z in zip(A, B, strict=True):
        p_, z_ = p / math.sqrt(dot(p, p)), z / math.sqrt(dot(z, z))
        total += sum((x - y) ** 2 for x, y in zip(p_.tolist(), z_.tolist(), strict=True))
    assert close(regression(A, B), total / len(A))


def test_distance_is_equation_1_of_simsiam():
    total = sum(-cos(p, z) for p, z in zip(A, B, strict=True))
    assert close(distance(A, B), total / len(A))


def test_supervised_contrastive_is_equation_2_of_supcon():
    y, total = [0, 1, 2, 0, 0, 1, 2, 0], 0.0
    for i in range(8):
        others = [a for a in range(8) if a != i]
        positives = [p for p in others if y[p] == y[i]]
        below = sum(math.exp(cos(A[i], A[a]) / 0.1) for a in others)
        terms = [math.log(math.exp(cos(A[i], A[p]) / 0.1) / below) for p in positives]
        total += -sum(terms) / len(positives)
    assert close(supervised_contrastive(A, torch.tensor(y), 0.1), total / 8)


def test_barlow_twins_is_equations_1_and_2():
    n, d = A.shape
    a = [[x - sum(column) / n for x in column] for column in A.T.tolist()]
    b = [[x - sum(column) / n for x in column] for column in B.T.tolist()]
    invariance = redundancy = 0.0
    for i in range(d):
        for j in range(d):
            above = sum(x * y for x, y in zip(a[i], b[j], strict=True))
            below = math.sqrt(sum(x**2 for x in a[i])) * math.sqrt(sum(y**2 for y in b[j]))
            if i == j:
                invariance += (1 - above / below) ** 2
            else:
                redundancy += (above / below) ** 2
    on, off = barlow_twins(A, B)
    assert close(on, invariance)
    assert close(off, redundancy)


def test_barlow_twins_of_decorrelated_twins_is_nothing():
    z = torch.cat([torch.eye(4), -torch.eye(4)])
    assert all(float(term) < 1e-6 for term in barlow_twins(z, z))


def test_variance_and_covariance_are_equations_1_to_4_of_vicreg():
    z = A * torch.tensor([0.1, 0.5, 1.0, 2.0, 1.5])
    n, d = z.shape
    columns = z.T.tolist()
    centred = [[x - sum(column) / n for x in column] for column in columns]
    lacking = [max(0, 1 - math.sqrt(sum(x**2 for x in c) / (n - 1) + 1e-4)) for c in centred]
    assert close(variance(z), sum(lacking) / d)
    total = 0.0
    for i in range(d):
        for j in range(d):
            if i != j:
                c = sum(x * y for x, y in zip(centred[i], centred[j], strict=True)) / (n - 1)
                total += c**2
    assert close(covariance(z), total / d)


def test_sinkhorn_is_the_papers_algorithm_and_its_marginals_are_even():
    scores = A[:6].tanh()  # 6 views, 5 prototypes
    q = [[math.exp(s / 0.05) for s in row] for row in scores.tolist()]
    for _ in range(3):
        totals = [sum(row[k] for row in q) for k in range(5)]
        q = [[x / totals[k] / 5 for k, x in enumerate(row)] for row in q]
        q = [[x / sum(row) / 6 for x in row] for row in q]
    expected = torch.tensor(q) * 6
    assert torch.allclose(sinkhorn(scores, 0.05, 3), expected, atol=1e-5)
    even = sinkhorn(scores, 0.05, 2000)
    assert torch.allclose(even.sum(1), torch.ones(6), atol=1e-4)
    assert torch.allclose(even.sum(0), torch.full((5,), 6 / 5), atol=1e-3)


def test_cross_prediction_is_equation_3_of_dino():
    views = [A, B, A * B]  # two global views and a local one
    targets = [A.square().softmax(1), B.square().softmax(1)]
    terms = []
    for i, target in enumerate(targets):
        for v, view in enumerate(views):
            if v != i:
                for p, logits in zip(target.tolist(), view.tolist(), strict=True):
                    s = softmax(logits)
                    terms.append(-sum(x * math.log(y) for x, y in zip(p, s, strict=True)))
    assert len(terms) == 4 * len(A)
    assert close(cross_prediction(views, targets), sum(terms) / len(terms))


def test_leave_one_out_is_equation_2_of_looc():
    generator = torch.Generator().manual_seed(1)
    n, t = 2, 0.2  # transforms left out
    q = F.normalize(torch.randn(n + 1, 4, 5, generator=generator), dim=2)
    k = F.normalize(torch.randn(n + 1, n + 1, 4, 5, generator=generator), dim=3)
    queue = F.normalize(torch.randn(n + 1, 6, 5, generator=generator), dim=2)
    total = 0.0
    for image in range(4):

        def positive(i, j, image=image):  # E of key j in space i
            return math.exp(dot(q[i, image], k[j, i, image]) / t)

        negative = [sum(math.exp(dot(q[i, image], e) / t) for e in queue[i]) for i in range(n + 1)]
        for j in range(n + 1):
            total -= math.log(positive(0, j) / (positive(0, j) + negative[0]))
        for i in range(1, n + 1):
            below = sum(positive(i, j) for j in range(n + 1)) + negative[i]
            total -= math.log(positive(i, i) / below)
    assert close(leave_one_out(q, k, queue, t).mean(), total / 4 / (n + 1))


def test_nearest_is_equation_2_of_nnclr():
    for z, found in zip(A, nearest(A, QUEUE), strict=True):
        best = max(QUEUE, key=lambda each: cos(z, each))
        assert torch.equal(found, best)


def test_losses_are_in_float32_under_autocast():
    y = torch.arange(4).repeat(2)
    spaces = F.normalize(torch.stack([A, B]), dim=2)
    keys, queue = torch.stack([spaces, spaces.flip(0)]), torch.stack([QUEUE, QUEUE])
    prototypes = Prototypes(5, 7)

    def losses():
        return [
            F.cross_entropy(*info_nce(A, B, 0.1)),
            F.cross_entropy(*info_nce(A, B, 0.1, QUEUE)),
            regression(A, B),
            distance(A, B),
            supervised_contrastive(A, y, 0.1),
            *barlow_twins(A, B),
            variance(A),
            covariance(A),
            *leave_one_out(spaces, keys, queue, 0.1),
            sinkhorn(prototypes(A), 0.05, 3).max(),
        ]

    expected = losses()
    with torch.autocast("cpu", torch.bfloat16):
        assert [float(loss) for loss in losses()] == [float(loss) for loss in expected]


# Identities


def test_supcon_with_instance_labels_is_simclr():
    instance = torch.arange(4).repeat(2)
    simclr = F.cross_entropy(*nt_xent(A, 0.5))
    assert close(supervised_contrastive(A, instance, 0.5), simclr.item())


def test_info_nce_with_the_other_keys_as_negatives_is_info_nce_in_the_batch():
    for i in range(len(A)):
        others = torch.cat([B[:i], B[i + 1 :]])
        alone = F.cross_entropy(*info_nce(A[i : i + 1], B[i : i + 1], 0.2, others))
        logits, target = info_nce(A, B, 0.2)
        assert close(alone, F.cross_entropy(logits[i : i + 1], target[i : i + 1]).item())


@pytest.fixture
def batch(digits):
    index = torch.arange(32)
    return Batch(digits.image[index] / 255, digits.label[index], index, 0.5)


def made(name, digits, variant="base"):
    """A method whose views are the images themselves."""
    method = assembled(composed(name, variant), about(digits)).train()
    for each in ("augment", "augment_", "local"):
        if hasattr(method, each):
            setattr(method, each, Augment())
    if hasattr(method, "left_out"):
        method.left_out = dict.fromkeys(method.left_out, ())
    return method


def test_moco_without_a_queue_is_info_nce_in_the_batch(digits, batch):
    method = made("moco", digits, "method.queue=0,method.shuffle=false,method.splits=1")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    expected = F.cross_entropy(
        *info_nce(twin.query(batch.x), twin.key(batch.x), method.temperature)
    )
    assert torch.allclose(loss, expected, atol=1e-6)


def test_looc_with_nothing_left_out_is_moco(digits, batch):
    looc = made("looc", digits, "method.queue=64")
    looc.left_out, looc.heads = {}, looc.heads[:1]
    looc.query[1], looc.key.module[1] = looc.heads, looc.key.module[1][:1]
    looc.queue = looc.queue[:1]
    moco = made("moco", digits, "method.queue=64,method.shuffle=false,method.splits=1")
    moco.query[0], moco.query[1], moco.queue = looc.query[0], looc.heads[0], looc.queue[0]
    moco.key = Teacher(moco.query)
    assert torch.allclose(next(looc.step(batch)), next(moco.step(batch)), atol=1e-6)


def test_looc_shares_exactly_what_is_left_out_with_the_query(digits, batch):
    method = assembled(composed("looc"), about(digits))
    query, *keys = method.draws(batch.x)
    assert len(keys) == 1 + len(method.left_out)
    for key, shared in zip(keys, [[], *method.left_out.values()], strict=True):
        assert key.keys() == query.keys() == method.augment.transforms.keys()
        assert [name for name in query if torch.equal(query[name], key[name])] == [
            name for name in query if name in shared
        ]


@pytest.mark.parametrize("name", ["moco", "moco_v3", "byol", "looc", "dino"])
def test_no_gradient_reaches_the_teacher(name, digits, batch):
    method = made(name, digits)
    method.zero_grad()
    next(method.step(batch)).backward()
    (teacher,) = (m for m in method.modules() if isinstance(m, Teacher))
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert any(p.grad is not None and p.grad.any() for p in method.encoder.parameters())
    taught = {id(p) for p in teacher.parameters()}
    groups = sgd(method).param_groups
    assert not any(id(p) in taught for group in groups for p in group["params"])


@pytest.mark.parametrize("loss", [regression, distance])
def test_no_gradient_reaches_the_target(loss, digits):
    p, z = A.clone().requires_grad_(), B.clone().requires_grad_()
    target = Teacher(nn.Linear(5, 5))(z) if loss is regression else z
    loss(p, target).backward()
    assert p.grad is not None
    assert p.grad.any()
    assert z.grad is None


# What follows an update


def test_a_teacher_is_the_moving_average_of_its_student():
    student = mlp(5, 4, 3)
    teacher = Teacher(student)
    expected = [p.detach().clone() for p in student.parameters()]
    torch.manual_seed(0)
    for momentum in (0.5, 0.9, 0.99):
        for p in student.parameters():
            p.data = torch.randn_like(p)
        teacher.follow(student, momentum, share=1.0)
        new = student.parameters()
        expected = [momentum * e + (1 - momentum) * p for e, p in zip(expected, new, strict=True)]
    for p, e in zip(teacher.parameters(), expected, strict=True):
        assert torch.allclose(p, e, atol=1e-6)


def test_a_teachers_batch_norm_has_its_own_statistics():
    student = mlp(5, 4, 3)
    teacher = Teacher(student)
    teacher(A)
    norm, own = student[1], teacher.module[1]
    assert not norm.running_mean.any()
    seen = (A @ student[0].weight.T).mean(0)
    assert torch.allclose(own.running_mean, 0.1 * seen, atol=1e-6)


def test_the_momentum_rises_as_half_a_cosine():
    assert cosine(0.9, 1, 0) == 0.9
    assert cosine(0.9, 1, 1) == 1
    for t in (0.25, 0.5, 0.75):  # BYOL, section 3.2, with k / K = t
        assert math.isclose(cosine(0.9, 1, t), 1 - (1 - 0.9) * (math.cos(math.pi * t) + 1) / 2)


@pytest.mark.parametrize("parts", [1, 4])
def test_a_teacher_follows_once_a_step_in_however_many_parts(parts, digits, batch, hardware):
    method = made("byol", digits)
    before = [p.clone() for p in method.target.parameters()]
    pieces = zip(*(each.chunk(parts) for each in batch[:3]), strict=True)
    batches = [Batch(*piece, batch.t) for piece in pieces]
    loop.update(method, batches, [sgd(method, lr=0.1)], hardware)
    m = cosine(method.momentum, 1, batch.t)
    student = method.online.parameters()
    for old, slow, fast in zip(before, method.target.parameters(), student, strict=True):
        assert torch.allclose(slow, m * old + (1 - m) * fast, atol=1e-6)


def stepped(method, batch, hardware, steps):
    """The method's buffers and what its teacher makes of the batch, after each step."""
    optimizer = sgd(method, lr=0.1)
    for _ in range(steps):
        twin = copy.deepcopy(method)
        loop.update(method, [batch], [optimizer], hardware)
        yield twin


def test_mocos_queue_holds_the_newest_keys(digits, batch, hardware):
    method = made("moco", digits, "method.queue=80,method.shuffle=false,method.splits=1")
    expected = method.queue
    for twin in stepped(method, batch, hardware, 3):
        keys = F.normalize(twin.key(batch.x), dim=1)
        expected = torch.cat([keys, expected])[:80]
    assert torch.allclose(method.queue, expected, atol=1e-6)


def test_loocs_queues_hold_each_spaces_newest_keys(digits, batch, hardware):
    method = made("looc", digits, "method.queue=40")
    expected = method.queue
    for twin in stepped(method, batch, hardware, 2):
        keys = twin.key(batch.x)  # all keys are alike, as the views are
        expected = torch.cat([keys, expected], 1)[:, :40]
    assert torch.allclose(method.queue, expected, atol=1e-5)


def test_nnclrs_support_set_holds_the_newest_embeddings(digits, batch, hardware):
    method = made("nnclr", digits, "method.queue=80")
    expected = method.queue
    for twin in stepped(method, batch, hardware, 3):
        z = F.normalize(twin.project(twin.encoder(batch.x)), dim=1)
        expected = torch.cat([z.detach(), expected])[:80]
    assert torch.allclose(method.queue, expected, atol=1e-6)


def test_dinos_centre_is_the_moving_average_of_the_teachers_outputs(digits, batch, hardware):
    method = made("dino", digits, "method.momentum_centre=0.8")
    centre = method.centre
    for twin in stepped(method, batch, hardware, 3):
        centre = 0.8 * centre + 0.2 * twin.teacher(batch.x).mean(0)
    assert centre.any()
    assert torch.allclose(method.centre, centre, atol=1e-6)


def test_dinos_teacher_is_centred_and_sharpened(digits, batch):
    method = made("dino", digits)
    method.centre = torch.linspace(-0.1, 0.1, len(method.centre))
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    t, s = twin.teacher(batch.x), twin.student(batch.x)
    total = 0.0
    for teacher, student in zip(t.tolist(), s.tolist(), strict=True):
        centred = zip(teacher, method.centre.tolist(), strict=True)
        p = softmax([(x - c) / method.temperature_teacher for x, c in centred])
        q = softmax([x / method.temperature for x in student])
        total += -sum(x * math.log(y) for x, y in zip(p, q, strict=True))
    assert close(loss, total / len(t))


# Options


@pytest.mark.parametrize("name", ["swav", "dino"])
def test_multi_crop_adds_local_views(name, digits, batch):
    method = assembled(composed(name, "method.crops=2,method.local.crop.size=12"), about(digits))
    seen = []
    method.encoder.register_forward_hook(lambda _, x, __: seen.append(tuple(x[0].shape[2:])))
    assert next(method.step(batch)).isfinite()
    student = seen if name == "swav" else seen[2:] if len(seen) == 6 else seen
    assert student == [(16, 16), (16, 16), (12, 12), (12, 12)]
    assert "a local view" in method.eval().show(batch.x[:4])


@pytest.mark.parametrize("name", ["swav", "dino"])
def test_prototypes_are_frozen_at_first(name, digits, batch, hardware):
    method = made(name, digits, "method.frozen=0.1")
    before = method.prototypes.weight.clone()
    optimizer = sgd(method, lr=0.1)
    loop.update(method, [batch._replace(t=0.05)], [optimizer], hardware)
    assert torch.equal(before, method.prototypes.weight)
    loop.update(method, [batch._replace(t=0.1)], [optimizer], hardware)
    assert not torch.equal(before, method.prototypes.weight)


def test_split_batch_norm_sees_parts_and_shuffling_mixes_them(digits, batch):
    whole = made("moco", digits, "method.shuffle=false,method.splits=1")
    twin = copy.deepcopy(whole)
    parts = made("moco", digits, "method.shuffle=false,method.splits=4")
    parts.load_state_dict(whole.state_dict())
    keys = torch.cat([twin.key(x) for x in batch.x.chunk(4)])

    def enqueued(method):
        list(method.step(batch))
        return method.queue[: len(batch.x)]

    assert torch.allclose(enqueued(parts), F.normalize(keys, dim=1), atol=1e-6)
    whole.eval()
    mixed = made("moco", digits, "method.shuffle=true,method.splits=4").eval()
    mixed.load_state_dict(twin.state_dict())
    whole.load_state_dict(twin.state_dict())
    assert torch.allclose(enqueued(mixed), enqueued(whole), atol=1e-6)  # each in its own place


def test_too_many_splits_are_explained(digits, batch):
    method = made("moco", digits, "method.splits=20")
    with pytest.raises(UserError, match=r"method.splits is 20.* batch of 32"):
        next(method.step(batch))


def test_a_frozen_patch_projection_stays_as_it_is(digits, batch, hardware):
    settings = composed("moco_v3", "encoder=vit_tiny,method.freeze_patches=true", "quick")
    method = assembled(settings, about(digits))
    before = copy.deepcopy(method.encoder.state_dict())
    loop.update(method, [batch], [sgd(method, lr=0.1, weight_decay=0.1)], hardware)
    after = method.encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any(name.startswith("conv_proj") for name in moved)


def test_patches_cannot_be_frozen_where_there_are_none(digits):
    with pytest.raises(UserError, match=r"method.freeze_patches.*encoder=vit_tiny"):
        made("moco_v3", digits, "method.freeze_patches=true")


def test_without_negatives_simclrs_loss_is_the_numerator_of_equation_1(digits, batch):
    method = made("simclr", digits, "method.negatives=false")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    z = twin.embed(twin.encoder(torch.cat([batch.x, batch.x])))
    n = len(batch.x)
    total = sum(cos(z[i], z[(i + n) % (2 * n)]) / method.temperature for i in range(2 * n))
    assert close(loss, -total / (2 * n))


def test_without_a_projector_simclrs_loss_is_on_the_features(digits, batch):
    method = made("simclr", digits, "method.layers=0")
    h = method.encoder(batch.x)
    assert torch.equal(method.embed(h), h)
    linear = made("simclr", digits, "method.layers=1").project
    assert [type(layer) for layer in linear] == [nn.Linear]


def test_without_a_predictor_byol_compares_the_projections(digits, batch):
    method = made("byol", digits, "method.predictor=false")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    assert close(loss, 2 * regression(twin.online(batch.x), twin.target(batch.x)).item())


def test_without_stop_gradient_byols_target_is_the_online_network(digits, batch):
    method = made("byol", digits, "method.stop_gradient=false")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    z = twin.online(batch.x)
    expected = 2 * regression(twin.predict(z), z)
    assert close(loss, expected.item())
    loss.backward()
    expected.backward()
    got, wanted = (m.encoder.stem[0].weight.grad for m in (method, twin))
    assert torch.allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("momentum", [0, 0.9, 1])
def test_byols_momentum_can_be_constant(momentum, digits, batch, hardware):
    variant = f"method.momentum={momentum},method.momentum_end={momentum}"
    method = made("byol", digits, variant)
    before = [p.clone() for p in method.target.parameters()]
    loop.update(method, [batch._replace(t=0.7)], [sgd(method, lr=0.1)], hardware)
    student = method.online.parameters()
    for old, slow, fast in zip(before, method.target.parameters(), student, strict=True):
        assert torch.allclose(slow, momentum * old + (1 - momentum) * fast, atol=1e-6)


def test_byols_second_augmentation_lacks_what_its_first_lacks():
    settings = composed("byol", "method.augment.jitter=null")["method"]
    assert settings["augment"]["jitter"] is None
    assert settings["augment_"]["jitter"] is None
    assert settings["augment_"]["solarize"]["p"] == 0.2


@pytest.mark.parametrize("kind", ["group", "layer", "none"])
@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_there_can_be_no_batch_norm_at_all(name, kind, digits, batch, hardware):
    variant = f"encoder.norm={kind},method.norm={kind}"
    method = assembled(composed(name, variant), about(digits))
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in method.modules())
    losses = loop.update(method, [batch], [sgd(method, lr=0.1)], hardware)
    assert torch.stack(losses).isfinite().all()
    method.eval()
    h = method.encoder(batch.x)
    z = method.embed(h)
    alone = torch.cat([method.embed(method.encoder(x)) for x in batch.x.split(1)])
    assert torch.allclose(z, alone, atol=1e-4)  # no image is told of another


def test_a_transform_that_is_not_there_cannot_be_left_out(digits):
    settings = composed("looc")
    settings["method"]["leave_out"] = {"rotation": ["rotte"]}
    with pytest.raises(UserError, match=r"no transform 'rotte'; did you mean 'rotate'"):
        assembled(settings, about(digits))


def test_supcon_takes_images_without_labels_for_classes_of_their_own(digits, batch):
    method = made("supcon", digits)
    twin = copy.deepcopy(method)
    loss = next(method.step(batch._replace(y=torch.full_like(batch.y, -1))))
    instances = next(twin.step(batch._replace(y=batch.i)))
    assert torch.equal(loss, instances)


def test_what_the_pictures_compare_is_the_similarity_of_the_views(digits, batch):
    method = made("byol", digits).eval()
    shown = method.show(batch.x[:6])
    *_, (caption, picture) = shown.items()
    assert "similarity" in caption
    z = method.embed(method.encoder(batch.x[:6]))
    for i in range(6):
        for j in range(6):
            assert math.isclose(picture[0, 0, i, j], max(0, cos(z[i], z[j])), abs_tol=1e-4)
