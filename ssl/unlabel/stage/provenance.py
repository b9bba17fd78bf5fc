"""Write down what every output was made from, for a commit."""

from unlabel.workflow import dvc
from unlabel.workflow.engine import provenance


def run() -> None:
    """Write provenance.json, by which a fresh clone with DVC's files has nothing to make again, and
    reports/dvc.yaml, which names the encoders for `dvc artifacts get`.

    `dvc repro` does this after each build. Raises `UserError` if the study is wrong.
    """
    provenance.export()
    dvc.write()
