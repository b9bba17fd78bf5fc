"""Measure a trained encoder with one probe."""

from pathlib import Path

from unlabel import encoder as encoders
from unlabel import files
from unlabel.data import masks as pixel_classes
from unlabel.data.splits import read_splits
from unlabel.errors import UserError
from unlabel.features import parquet
from unlabel.hardware import Hardware
from unlabel.nn.folding import fold_batch_norm
from unlabel.params.settings import build, load
from unlabel.probe._run import built, measured
from unlabel.probe._trained import EncoderProbe, Trained


def run(
    params: Path,
    encoder: Path,
    features: Path,
    views: Path,
    train: Path,
    validation: Path,
    test: Path,
    out: Path,
    masks: list[Path] | None = None,
    others: list[Path] | None = None,
) -> None:
    """Measure an encoder and its features with the probe of the settings, and write its numbers.

    If the dataset lacks what the probe needs, such as labels, there is nothing to measure.

    Args:
        params: the run's settings, a YAML file with one probe
        encoder: the run's encoder.safetensors
        features: the features of the dataset, as `unlabel features` wrote them
        views: the features of pairs of views, as `unlabel features` wrote them
        train: the prepared training split, an Arrow file
        validation: the prepared validation split
        test: the prepared test split
        out: the JSON file to write
        masks: the class of each pixel, as `unlabel masks` wrote it, for a probe that needs it
        others: the prepared test splits of other datasets, for a probe that compares with them

    Raises:
        UserError: if the settings are wrong, or the encoder cannot be measured
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware").resolve()
    hardware.configure()
    probes = built(settings["measure"], "measure")
    for name, probe in probes.items():
        if probe.masks and not masks:
            raise UserError(f"the probe {name} needs the class of each pixel; pass --masks FILE")
    everything = parquet.read(features, views).to(hardware.device)
    trained = None
    if any(isinstance(probe, EncoderProbe) for probe in probes.values()):
        model = fold_batch_norm(encoders.load(encoder))
        hardware.move(model)
        splits, _ = read_splits((train, validation, test), model.data.shape)
        known = pixel_classes.read(masks[0]) if masks else None
        read = (read_splits([path]) for path in others or ())
        others_ = {data.name: images for (images,), data in read}
        trained = Trained(model, splits, everything, hardware, known, others_)
    for _, measures in measured(probes, everything, settings["seed"], trained):
        files.write_json(out, measures)
