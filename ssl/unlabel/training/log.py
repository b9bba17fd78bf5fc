"""The log of a training: a row of measures every so many steps."""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import torch

from unlabel.data.images import Images
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.metric import Metric
from unlabel.nn import spectrum
from unlabel.training.loop import Step
from unlabel.training.monitor import Accuracy

ROWS = 40  # about this many per training
WATCHED = 256  # images whose features each row measures
FIRST = (Metric("step", "step"), Metric("epoch", "epoch"), Metric("lr", "learning rate"))
LAST = (Metric("deviation", "deviation"), Metric("effective_rank", "effective rank"))
KNN = Metric("knn", "kNN accuracy, validation", share=True, better="higher", labels=True)


def columns(logged: Iterable[Metric], monitored: bool = False) -> list[Metric]:
    """The columns of a training's log, of which the method has `logged` some.

    An untrained encoder logs nothing and has no learning rate, and nobody watches it.
    """
    own = list(logged)
    return [*(FIRST if own else FIRST[:2]), *own, *LAST, *([KNN] if own and monitored else [])]


class Log:
    """The rows so far, and the losses since the last row. Both are part of the training state.

    A row has the step, the epoch, the mean loss since the row before, the learning rate and the
    method's own measures. It also has the deviation and the effective rank of the features of some
    fixed images, as the encoder computes them outside training. Now and then it has their
    `accuracy`, always at the start and at the end.
    """

    def __init__(
        self,
        method: Method,
        images: Images,
        steps: int,
        epochs: int,
        hardware: Hardware,
        accuracy: Accuracy | None = None,
    ):
        self.method, self.hardware, self.accuracy = method, hardware, accuracy
        self.watched = hardware.pixels(images.image[:WATCHED])
        self.steps, self.epochs = steps, epochs
        self.every = max(1, min(100, steps // ROWS))
        self.rows: list[dict[str, float]] = []
        self.losses: list[torch.Tensor] = []

    def start(self) -> None:
        """Add the row before any training."""
        self.rows = [{"step": 0, "epoch": 0.0} | self._features(0)]

    def add(self, step: int, result: Step, lr: float) -> None:
        """Log step number `step`, counted from 1. Raises `UserError` if a loss is not finite."""
        self.losses.append(torch.stack(result.losses))
        if not self.due(step):
            return
        row = {"step": step, "epoch": self.epochs * step / self.steps, "lr": lr * result.rate}
        mean = self._finite(step).mean(0).tolist()
        names = ["loss"] if len(mean) == 1 else [f"loss_{n}" for n in range(1, len(mean) + 1)]
        row |= dict(zip(names, mean, strict=True))
        row |= {name: float(value) for name, value in result.measures.items()}
        self.rows.append(row | self._features(step))
        self.losses = []

    def due(self, step: int) -> bool:
        """Does step number `step`, counted from 1, get a row?"""
        return step % self.every == 0 or step == self.steps

    def last(self) -> dict[str, float]:
        """What a progress bar shows: the losses, and how good the features are."""
        shown = {key: value for key, value in self.rows[-1].items() if key.startswith("loss")}
        good = KNN.name if self.accuracy else "effective_rank"
        return shown | {good: next(row[good] for row in reversed(self.rows) if good in row)}

    def state(self, step: int) -> dict[str, Any]:
        """What `resume` takes. Raises `UserError` if a loss is not finite, so it is never saved."""
        return {"rows": self.rows, "losses": self._finite(step).tolist() if self.losses else []}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self.rows = state["rows"]
        self.losses = [torch.tensor(x, device=self.hardware.device) for x in state["losses"]]

    def _finite(self, step: int) -> torch.Tensor:
        """The losses (steps, players) since the last row, in one copy from the device."""
        losses = torch.stack(self.losses).cpu()
        wrong = (~losses.isfinite()).any(1).nonzero().flatten()
        if len(wrong):
            last = int(wrong[-1])
            self._diverged(f"the loss is {losses[last].tolist()}", step - (len(losses) - 1 - last))
        return losses

    def _diverged(self, what: str, step: int) -> NoReturn:
        raise UserError(
            f"{type(self.method).__name__}: {what} at step {step} of {self.steps}: the training "
            "diverged; try a lower optimizer.lr, a longer training.warmup, training.clip=1 or "
            "hardware.precision=float32"
        )

    @torch.no_grad()
    def _features(self, step: int) -> dict[str, float]:
        encoder, training = self.method.encoder, self.method.training
        encoder.eval()
        with self.hardware.autocast():
            h = encoder(self.watched).float()
        if not h.isfinite().all():
            self._diverged("the features are not finite", step)
        measured = {
            "deviation": float(spectrum.deviation(h)),
            "effective_rank": float(spectrum.effective_rank(h)),
        }
        if self.accuracy and self._due(step):
            measured[KNN.name] = self.accuracy(encoder)
        encoder.train(training)
        return measured

    def _due(self, step: int) -> bool:
        """Is the accuracy to be measured in the row of this step?"""
        if step in (0, self.steps):
            return True
        assert self.accuracy is not None
        return self.accuracy.due(self.rows[-1]["epoch"], self.epochs * step / self.steps)
