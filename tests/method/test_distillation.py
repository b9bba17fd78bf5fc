"""A student learns a teacher's features: each loss as its paper writes it."""

import torch
import torch.nn.functional as F

from support.models import about, assembled, composed, noise
from unlabel import weights
from unlabel.method import Batch
from unlabel.nn.relations import angles, distances, relational, similar
from unlabel.params.settings import build

S, T = torch.randn(6, 5), 3 * torch.randn(6, 9)


def huber(a, b):
    d = abs(a - b)
    return d**2 / 2 if d <= 1 else d - 0.5


def test_relational_losses_are_those_of_a_plain_loop():
    n, pairs, triplets = len(S), 0.0, 0.0
    scale = [
        sum((z[i] - z[j]).norm() for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
        for z in (S, T)
    ]

    def angle(z, i, j, k):
        return F.cosine_similarity(z[i] - z[j], z[k] - z[j], dim=0, eps=1e-12)

    for i in range(n):
        for j in range(n):
            s, t = ((z[i] - z[j]).norm() / m for z, m in zip((S, T), scale, strict=True))
            pairs += huber(s, t) / n**2
            for k in range(n):
                triplets += huber(angle(S, i, j, k), angle(T, i, j, k)) / n**3
    assert torch.allclose(relational(S, T, 1.0, 0.0), pairs, atol=1e-5)
    assert torch.allclose(relational(S, T, 0.0, 1.0), triplets, atol=1e-4)
    assert torch.allclose(distances(S)[1, 2], (S[1] - S[2]).norm() / scale[0], atol=1e-5)
    assert torch.allclose(angles(S)[2, 0, 4], angle(S, 0, 2, 4), atol=1e-4)
    twice = (2 * S @ torch.linalg.qr(torch.randn(5, 5)).Q).requires_grad_()
    loss = relational(twice, S, 25.0, 50.0)  # turned and enlarged, it lies as before
    assert loss < 1e-6
    loss.backward()
    assert twice.grad.isfinite().all()


def test_similarity_is_that_of_a_plain_loop():
    def row(z, i):
        inner = torch.stack([z[i] @ each for each in z])
        return inner / inner.norm()

    wanted = sum((row(S, i) - row(T, i)).square().sum() for i in range(len(S))) / len(S) ** 2
    assert torch.allclose(similar(S, T), wanted, atol=1e-6)


def test_cosine_and_mse_are_those_of_a_plain_loop():
    for loss in ("cosine", "mse"):
        method, _data = student(f"method.loss={loss}")
        h, t = torch.randn(6, method.encoder.dim), torch.randn(6, 64)
        p = h @ method.project.weight.T + method.project.bias
        rows = []
        for a, b in zip(p, t, strict=True):
            even = (b - b.mean()) / (b.var(correction=0) + 1e-5).sqrt()
            rows.append(1 - a @ b / a.norm() / b.norm() if loss == "cosine" else (a - even) ** 2)
        assert torch.allclose(method.compare(h, t), torch.stack(rows).mean(), atol=1e-5)


def student(variant="base"):
    data = noise((1, 16, 16), 12)
    return assembled(composed("distillation", variant), about(data)), data


def test_the_teacher_is_frozen_and_no_part_of_what_is_saved():
    method, data = student()
    x = data.image / 255
    (loss,) = method.step(Batch(x, data.label, data.id, 0.0))
    loss.backward()
    assert all(each.grad is None for each in method.teacher.parameters())
    assert not [name for name in method.state_dict() if "teacher" in name]
    again, _ = student()
    assert torch.equal(method.teacher(x), again.teacher(x))


def test_making_the_teacher_changes_no_draw_of_any_device(monkeypatch):
    """It is made in the first step after a kill, too, where a run without one makes none."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(3)
    method, _data = student()
    assert seeded.pop() is not None  # it sees what is seeded
    seeded.clear()
    before = torch.random.get_rng_state()
    assert isinstance(method.teacher.dim, int)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert seeded == []


def test_kept_features_are_those_of_the_images_themselves():
    method, data = student("method.cached=true")
    x = data.image / 255
    for index in (torch.arange(6), torch.arange(6, 12)):
        list(method.step(Batch(x[index], data.label[index], index, 0.0)))
    assert method.known.all()
    assert torch.allclose(method.target, method.teacher(x), atol=1e-6)
    del method.__dict__["teacher"]  # is not asked again
    list(method.step(Batch(x[:6], data.label[:6], torch.arange(6), 0.5)))
    assert "teacher" not in method.__dict__


def test_a_trained_student_needs_its_teachers_file_no_more():
    settings = composed("distillation", "method.teacher.weights=gone.pth")
    assert settings["method"]["teacher"]["start"]["weights"] == "gone.pth"
    method = assembled(settings, about(noise((1, 16, 16), 12)))
    other = build(settings["method"], encoder=method.encoder, data=method.data)
    weights.restore(other, weights.of(method), "here")
