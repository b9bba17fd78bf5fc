"""Write down what every output was made from, for a commit."""

from unlabel.workflow import dvc
from unlabel.workflow.engine import provenance


def run() -> None:
    """Write provenance.json and reports/dvc.yaml.

    With the first, a fresh clone that has DVC's files has nothing to make again. The second names
    the encoders for `dvc artifacts get`. `dvc repro` runs this stage after each build.

    Raises:
        UserError: if the study is wrong
    """
    provenance.export()
    dvc.write()
