"""Features are the encoder's, and the same ones each time."""

import pytest
import torch
import yaml

from support.extracted import RUN, SPLITS, extracted, flags
from support.models import about, assembled, composed
from unlabel.cli import main
from unlabel.data import images
from unlabel.data.images import Images
from unlabel.features import parquet
from unlabel.params.settings import build


def test_features_are_the_encoders_and_the_projectors(trained, digits, hardware):
    extracted(trained)
    measured = parquet.read(trained / "features.parquet", trained / "views.parquet")
    method = assembled(composed("simclr"), about(digits)).eval()
    with torch.no_grad(), build(composed("simclr")["hardware"]).resolve().autocast():
        h = method.encoder(hardware.pixels(digits.image[400:]))
        z = method.embed(h)
    assert torch.allclose(measured.test.h, h.float(), atol=1e-2)
    assert torch.allclose(measured.test.z, z.float(), atol=1e-2)
    assert measured.test.id.tolist() == digits.id[400:].tolist()
    alone = {"crop", "flip", "jitter", "grey", "blur", "rotate"}
    assert measured.views.keys() == {"all"} | alone
    for name, views in measured.views.items():
        assert views.id.tolist() == digits.id[300:364].tolist()
        assert views.h.shape == views.h_.shape == (64, method.encoder.dim)
        assert torch.equal(views.h, views.h_) == (name == "grey")  # as digits are
        assert torch.equal(views.h, measured.validation.h[:64]) == (name != "all")
    with torch.no_grad(), build(composed("simclr")["hardware"]).resolve().autocast():
        flipped = method.encoder(hardware.pixels(digits.image[300:364].flip(3)))
        assert torch.allclose(measured.views["flip"].h_, flipped.float(), atol=1e-2)
        z_ = method.embed(measured.views["flip"].h_).float()
    assert torch.allclose(measured.views["flip"].z_, z_, atol=2e-2)


def test_the_probes_may_have_some_training_images_only(trained):
    extracted(trained)
    settings = yaml.safe_load((trained / "params.yaml").read_text())
    settings["features"]["images"] = 80
    (trained / "params.yaml").write_text(yaml.safe_dump(settings))
    paths = extracted(trained, "some.parquet"), trained / "views.parquet"
    some, everything = parquet.read(*paths), parquet.read(trained / "features.parquet", paths[1])
    assert some.labels == everything.labels == 300
    assert len(set(some.train.id.tolist())) == 80
    place = {id: row for row, id in enumerate(everything.train.id.tolist())}
    rows = [place[id] for id in some.train.id.tolist()]
    assert torch.allclose(some.train.h, everything.train.h[rows], atol=1e-2)
    assert torch.equal(some.train.label, everything.train.label[rows])
    assert torch.equal(some.test.id, everything.test.id)
    assert paths[0].read_bytes() == extracted(trained, "again.parquet").read_bytes()


def test_some_training_images_are_of_each_class(trained):
    settings = yaml.safe_load((trained / "params.yaml").read_text())
    settings["features"]["images"] = 12
    (trained / "params.yaml").write_text(yaml.safe_dump(settings))
    some = parquet.read(extracted(trained), trained / "views.parquet")
    assert some.train.label.unique().tolist() == [*range(10)]
    assert 12 < len(some.train.label) < 20  # twelve at random, and those that were missing


def test_the_projectors_output_may_be_that_of_some_training_images_only(trained):
    extracted(trained)
    settings = yaml.safe_load((trained / "params.yaml").read_text())
    settings["features"] |= {"images": 80, "projected": 30}
    (trained / "params.yaml").write_text(yaml.safe_dump(settings))
    paths = extracted(trained, "some.parquet"), trained / "views.parquet"
    some, everything = parquet.read(*paths), parquet.read(trained / "features.parquet", paths[1])
    assert some.train.z is None
    assert len(some.train.h) == 80
    assert torch.equal(some.test.z, everything.test.z)
    assert torch.equal(some.validation.z, everything.validation.z)
    known = some.projected()
    assert len(set(known.id.tolist())) == 30
    place = {id: row for row, id in enumerate(everything.train.id.tolist())}
    rows = [place[id] for id in known.id.tolist()]
    for name in ("h", "z"):
        expected = getattr(everything.train, name)[rows]
        assert torch.allclose(getattr(known, name), expected, atol=1e-2)
    assert torch.equal(known.label, everything.train.label[rows])


def test_the_same_features_twice(trained):
    first = extracted(trained).read_bytes(), (trained / "views.parquet").read_bytes()
    again = extracted(trained, "again.parquet", "views_again.parquet")
    assert first == (again.read_bytes(), (trained / "views_again.parquet").read_bytes())


def refused(arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return str(ended.value)


def test_files_of_another_method_or_dataset_are_refused(trained, digits):
    call = ["features", *flags(trained, **RUN, **SPLITS, out="f.parquet", views="v.parquet")]
    settings = yaml.safe_load((trained / "params.yaml").read_text())
    settings["method"]["temperature"] = 0.7
    (trained / "params.yaml").write_text(yaml.safe_dump(settings))
    assert "belongs to another method: method.temperature is" in refused(call)
    small = digits._replace(image=digits.image[:, :, :8, :8])
    images.write(trained / "test.arrow", small, about(small))
    (trained / "params.yaml").write_text(yaml.safe_dump(composed("simclr")))
    assert "are (1, 8, 8) (channels, height, width), but the encoder" in refused(call)
    nothing = Images(*(each[:0] for each in digits))
    images.write(trained / "train.arrow", nothing, about(digits))
    assert "has no images" in refused(call)
