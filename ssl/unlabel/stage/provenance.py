"""Write down what every output was made from, for a commit."""

from unlabel.workflow import dvc
from unlabel.workflow.engine import provenance


def run() -> None:
    """Write provenance.json and reports/dvc.yaml, for you to commit to git.

    With provenance.json, a fresh clone that has DVC's files has nothing to make again.
    reports/dvc.yaml names the encoders for `dvc artifacts get`. `dvc repro` writes both after each
    build.

    Raises:
        UserError: if the study is wrong
    """
    provenance.export()
    dvc.write()
