"""A Snakemake that is asked to end does so, whatever it is doing."""

from support import forks
from support.project import forked, snakemake
from support.versions import replace

TARGET = "data/runs/tiny/digits/random/base/1/metrics/knn.json"
RECORDS = "        await super().finished(job)\n"
ENDS = """
        import signal
        signal.alarm(60)  # or else the test would hang, too
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_it_ends_if_it_is_recording_a_job(copy):
    persistence = copy / "ssl/unlabel/workflow/engine/persistence.py"
    replace(persistence, RECORDS, ENDS + RECORDS)
    done = forks.run("snakemake", "--cores", "1", TARGET, folder=copy, environment=forked())
    assert done.returncode == 1, done.stdout + done.stderr
    assert not (copy / TARGET).exists()
    replace(persistence, ENDS + RECORDS, RECORDS)
    assert "1 pretrain" not in snakemake(copy, "--cores", "1", TARGET)
    assert (copy / TARGET).exists()
