"""An encoder that starts from the weights of a file, or from published ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from unlabel.data.images import Data
from unlabel.encoder import Encoder, Moments
from unlabel.encoder._files import Tensors, read
from unlabel.encoder._matching import Match, by_name, in_order, some
from unlabel.errors import UserError
from unlabel.params.settings import Settings, build, target
from unlabel.params.start import PUBLISHED, digest, weights_file
from unlabel.progress import note
from unlabel.ranges import Finite, Positive

Kind = Literal["missing", "unused", "shape", "channels"]


@dataclass(frozen=True)
class Start:
    """Where an encoder's first weights come from, and how they are matched with the network."""

    weights: str  # a file, or `published`
    sha256: str | None = None  # of the file
    # the tensors that need not fit; `channels`: images may have others than the weights
    allow: Sequence[Kind] = ()
    match: Literal["names", "order"] = "names"
    mean: Sequence[Finite] | None = None  # of each channel; None: as the weights' record says
    std: Sequence[Positive] | None = None

    def encoder(self, settings: Settings, data: Data) -> Encoder:
        """The encoder of these settings, with these weights.

        It normalises images as those that the weights were trained on. Raises `UserError` if the
        weights cannot be had, belong to another network, or see another number of channels.
        """
        kind: type[Encoder] = target(settings, "encoder")
        tensors, record, where = self._found(settings, kind)
        mean, std = self._moments(record or kind.recorded(settings), where, data)
        if len(mean) != data.shape[0] != 1:
            raise UserError(
                f"the weights in {where} see images of {len(mean)} channels, but those of "
                f"{data.name} have {data.shape[0]}; choose other weights or images, or repeat the "
                "first layer's channels with encoder.allow=[channels]"
            )
        # A grey image becomes colour where it is normalised, by as many means.
        encoder: Encoder = build(settings, "encoder", data=replace(data, mean=mean, std=std))
        network = encoder.state_dict()
        channels = data.shape[0] if "channels" in self.allow else None
        match = (in_order if self.match == "order" else by_name)(tensors, network, channels)
        self._check(match, where, encoder)
        encoder.load_state_dict(match.tensors, strict=False)
        note(
            _said(
                match,
                len(match.tensors) + len(match.missing) + len(match.shape),
                where,
                self.match,
                mean,
            )
        )
        return encoder

    def _found(
        self, settings: Settings, kind: type[Encoder]
    ) -> tuple[Tensors, Moments | None, str]:
        """The tensors, how they normalise images if the file says so, and the file's name."""
        path = weights_file(self.weights)
        if path is None:
            return (*kind.published(settings), f"{PUBLISHED} weights")
        if self.sha256 is not None and digest(path) != self.sha256:
            raise UserError(f"{path} was changed since this run was planned; start again")
        tensors, about = read(path)
        data = about.get("data", {})
        known = (tuple(data["mean"]), tuple(data["std"])) if "mean" in data else None
        return tensors, known, str(path)

    def _moments(self, record: Moments | None, where: str, data: Data) -> Moments:
        """The mean and deviation to normalise by: the settings', or else those on record.

        For other channels than the weights', they are the images' own.

        Raises `UserError` if neither has both.
        """
        if self.mean is not None and self.std is not None:
            if len(self.mean) != len(self.std):
                raise UserError("encoder.mean and encoder.std must have a number for each channel")
            return tuple(self.mean), tuple(self.std)
        fits = record is not None and len(record[0]) == data.shape[0]
        if "channels" in self.allow and data.shape[0] != 1 and not fits:
            return data.mean, data.std
        if record is None or not (self.mean is None and self.std is None):
            raise UserError(
                f"{where} does not say how images were normalised; set both, for ImageNet's as "
                "encoder.mean=[0.485,0.456,0.406] and encoder.std=[0.229,0.224,0.225]"
            )
        return record

    def _check(self, match: Match, where: str, encoder: Encoder) -> None:
        """Raise `UserError` if a tensor is missing, unused or misshapen, and `allow` lacks that."""
        if not match.tensors:
            raise UserError(
                f"{where} has the weights of another network than {type(encoder).__name__}: it has "
                f"{some(match.unused or match.shape)}, but not {some(match.missing)}"
            )
        problems: dict[Kind, tuple[str, list[str]]] = {
            "missing": ("lacks", match.missing),
            "unused": ("has besides", match.unused),
            "shape": ("has in another shape", match.shape),
        }
        wrong = {k: v for k, v in problems.items() if v[1] and k not in self.allow}
        if wrong:
            said = ", ".join(f"{verb} {some(names)}" for verb, names in wrong.values())
            allow = ",".join(sorted({*self.allow, *wrong}))
            raise UserError(
                f"{where} {said}; choose the encoder that the weights are of, or take what fits "
                f"with encoder.allow=[{allow}]"
            )


def _said(match: Match, tensors: int, where: str, how: str, mean: Sequence[float]) -> str:
    """The note on the screen: how many tensors were taken, which were not, and the mean."""
    by = "by name" if how == "names" else "in order, whatever their names"
    parts = [f"{len(match.tensors)} of {tensors} tensors from {where}, matched {by}"]
    for verb, names in (
        ("resized", match.changed),
        ("new", match.missing),
        ("unused", match.unused),
        ("new, as of another shape", match.shape),
    ):
        parts += [f"{verb}: {some(names)}"] if names else []
    parts.append(f"normalised by mean {', '.join(f'{each:.3g}' for each in mean)}")
    return f"encoder: {'; '.join(parts)}"
