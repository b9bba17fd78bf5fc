"""Vision transformers of timm give methods that hide patches what our own give."""

import pytest
import torch
from torch import Tensor

from support.models import about, composed, noise
from unlabel.data.expected import Expected
from unlabel.encoder.timm import Timm
from unlabel.errors import UserError
from unlabel.workflow import image_fit

pytest.importorskip("timm")


def encoder(model: str = "test_vit", shape=(3, 32, 32), resize: int | None = None) -> Timm:
    torch.manual_seed(0)
    return Timm(about(noise(shape, 4)), model, resize).eval()


# with a class token; with a register, and the mean of the patches
@pytest.mark.parametrize("model", ["test_vit", "vit_wee_patch16_reg1_gap_256"])
@torch.no_grad()
def test_where_nothing_is_masked_the_features_are_timms(model):
    vit, x = encoder(model), torch.rand(3, 3, 32, 32)
    nothing, every = torch.zeros(3, 4, dtype=torch.bool), torch.arange(4).expand(3, -1)
    assert (vit.grid, vit.patch) == (2, 16)
    theirs = vit.net(vit.normalise(x))
    for tokens in (
        vit.tokens(x),
        vit.tokens(x, every),
        vit.masked(x, nothing, torch.full((vit.dim,), 9.0)),
    ):
        assert tokens.shape == (3, 5, vit.dim)
        assert torch.allclose(vit.pooled(tokens), theirs, atol=1e-5)
        assert torch.allclose(tokens[:, 1:].mT.unflatten(2, (2, 2)), vit.maps(x), atol=1e-5)
    last = vit.layers(x)[:, -1, 1:]
    assert torch.allclose(vit.net.norm(last), vit.tokens(x)[:, 1:], atol=1e-5)


# without a position for the class token; of images that are not square
@pytest.mark.parametrize("size", [(48, 48), (16, 16), (32, 48)])
@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("test_vit", (3, 32, 32)),
        ("test_vit", (3, 32, 48)),
        ("vit_wee_patch16_reg1_gap_256", (3, 32, 32)),
        ("vit_small_patch14_reg4_dinov2", (3, 28, 28)),
    ],
)
@torch.no_grad()
def test_of_images_of_another_size_the_features_are_timms_too(model, shape, size):
    vit = encoder(model, shape)
    (patch, _), extra = vit.net.patch_embed.patch_size, vit.net.num_prefix_tokens
    size = (size[0] // 16 * patch, size[1] // 16 * patch)
    x = torch.rand(2, 3, *size)
    assert torch.allclose(vit(x), vit.net(vit.normalise(x)), atol=1e-5)
    patches = vit.net.forward_features(vit.normalise(x))[:, extra:]
    grid = (size[0] // patch, size[1] // patch)
    assert torch.allclose(vit.maps(x), patches.mT.unflatten(2, grid), atol=1e-5)


@torch.no_grad()
def test_what_is_hidden_is_not_seen():
    vit, x = encoder(shape=(1, 28, 28), resize=64), torch.rand(2, 1, 28, 28)
    assert (vit.grid, vit.patch) == (4, 7)  # in pixels of the image, not of what it sees

    def hidden(pixels: Tensor) -> Tensor:
        # Where pixels are made more by interpolation, a patch sees a little of its neighbours.
        return torch.cat([pixels[:, :, :, :14], torch.zeros_like(pixels[:, :, :, 14:])], 3)

    left = torch.tensor([[0, 4, 8, 12]]).expand(2, -1)
    assert torch.allclose(vit.tokens(x, left), vit.tokens(hidden(x), left))
    mask = torch.ones(2, 16, dtype=torch.bool).scatter(1, left, False)
    token = torch.randn(vit.dim)
    assert torch.allclose(vit.masked(x, mask, token), vit.masked(hidden(x), mask, token))
    assert not torch.allclose(vit.masked(x, mask, token), vit.masked(x, mask, -token))


@pytest.mark.parametrize(
    ("model", "size", "why"),
    [
        ("test_resnet", (32, 32), "not timm's test_resnet, which is no plain vision transformer"),
        ("vit_base_r50_s16_224", (32, 32), "vit_base_r50_s16_224, which is no plain vision"),
        ("test_vit", (28, 28), "test_vit with patches of 16 pixels and images of 28 x 28, which"),
        ("test_vit", (32, 48), "which it sees as 32 x 48: they must be square, with a whole"),
    ],
)
def test_what_has_no_tokens_is_one_sentence_before_any_job(model, size, why):
    settings = composed("mae", f"encoder.model={model}+encoder=timm")
    with pytest.raises(UserError, match=f"mae needs an encoder with patches, .*{why}"):
        image_fit.check(settings, Expected(True, size))


def test_a_size_that_timm_would_refuse_in_a_job_is_refused_before():
    settings = composed("simclr", "encoder.model=test_vit+encoder=timm")
    with pytest.raises(
        UserError, match="test_vit cuts what it sees into patches of 16 pixels, but"
    ):
        image_fit.check(settings, Expected(True, (28, 28)))
