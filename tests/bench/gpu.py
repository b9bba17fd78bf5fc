"""One check of everything that only a GPU can show. Without one, the same code at a tiny size.

    python tests/bench/gpu.py                       # here
    python tests/bench/gpu.py --prepare FOLDER      # where hydra is: settings, code, images
    python FOLDER/gpu.py                            # elsewhere: needs torch, and neither hydra,
                                                    # snakemake nor dvc

It gives images/s of eight methods, what of a step is not the encoder, where a step waits, what
`hardware.compile` and reproducible bits cost, one against eight processes, whether bits are the
same in two processes and after a kill, how near a CPU is, kNN over time, and memory. Each finding
is printed and written to OUT/results.json at once; one part that fails ends no other.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CARRIED = (HERE / "settings.json").exists()  # is this the folder that `--prepare` made?
SSL = HERE / "ssl" if CARRIED else HERE.parents[1] / "ssl"
TITLE = "GPU: ResNet-18, 32×32 colour, batch 512"
sys.path[:0] = [str(SSL), str(HERE)]

import torch  # noqa: E402
from gpu_check import bits, curve, steps  # noqa: E402
from gpu_check.findings import Findings  # noqa: E402
from gpu_check.runs import CUDA, TIMED, VARIANTS, Runs  # noqa: E402
from row import Row  # noqa: E402

NO_GPU = "not measured: there is no GPU here; the code runs on the CPU at a tiny size"


def composed() -> dict[str, Any]:
    """The resolved settings of the runs; needs hydra, where they are not prepared."""
    if CARRIED:
        return json.loads((HERE / "settings.json").read_text())
    from unlabel.params import compose

    params = HERE.parents[1] / "params"
    return {
        name: {"run": name} | compose.settings(params, budget, "cifar10", method, variant)
        for name, (budget, method, variant) in VARIANTS.items()
    }


def prepare(folder: Path, images: Path | None) -> None:
    """Write all that `python FOLDER/gpu.py` needs into a folder."""
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SSL / "unlabel", folder / "ssl/unlabel", ignore=unwanted)
    shutil.copytree(HERE / "gpu_check", folder / "gpu_check", ignore=unwanted)
    for name in ("gpu.py", "row.py"):
        shutil.copy(HERE / name, folder / name)
    if images is not None:
        (folder / "images").mkdir()
        for name in ("train", "validation", "test"):
            shutil.copy(images / f"{name}.arrow", folder / "images")
    (folder / "settings.json").write_text(json.dumps(composed()))
    print(f"{folder} is ready: carry it to the GPU and run `python {folder.name}/gpu.py` there")


def check(findings: Findings, runs: Runs, images: Path | None, work: Path) -> None:
    """All parts, the most telling ones first."""
    settings = work / "settings.json"
    settings.write_text(json.dumps(runs.settings))
    smoke = ["--smoke"] if runs.smoke else []
    child = [sys.executable, __file__, *smoke, "--settings", str(settings), "--child"]
    phase, names = findings.phase, TIMED[:2] + TIMED[-1:] if runs.smoke else TIMED
    phase("ceilings", 5, steps.ceilings, findings)
    for name in (*names, "inpainting", "quick_simclr")[: 4 if runs.smoke else None]:
        phase(f"step {name}", 25, steps.step, findings, runs, name)
    phase("same bits in two processes", 60, bits.same_bits, findings, child)
    phase("killed and taken up", 60, bits.taken_up, findings, runs, work, images, SSL)
    for name in bits.COMPARED[: 1 if runs.smoke else None]:
        phase(f"CPU and GPU, {name}", 15, bits.agreement, findings, runs, name)
    for what in ("benchmark", "not reproducible"):
        phase(f"simclr, {what}", 20, steps.variant, findings, runs, "simclr", what)
    for processes in (1, 2 if runs.smoke else 8):
        phase(f"{processes} at once", 30, curve.many, findings, child, processes)
    if CUDA:
        phase("simclr, compiled", 90, steps.variant, findings, runs, "simclr", "compiled")
    limit = max(20.0, min(150.0, findings.left() - 25))
    phase("kNN over time", 40, curve.curve, findings, runs, images, limit)


def measure() -> Iterator[Row]:
    """For `make bench`: the steps alone, against the limits that we set; nothing without a GPU."""
    runs = Runs(composed(), smoke=not CUDA)
    with tempfile.TemporaryDirectory() as folder:
        findings = Findings(Path(folder), 600)
        for name in TIMED[:-1] if CUDA else TIMED[:1]:
            steps.step(findings, runs, name)
    if not CUDA:
        print(NO_GPU)
        return
    for name in TIMED[:-1]:
        found = findings.found[f"step {name}"]
        rate, beside = found["images/s"], found["outside the encoder %"]
        if name == "simclr":
            yield Row(name, "the open record's 4,200 on an A100", rate, 4200, "images/s")
        yield Row(f"{name}, not the encoder's passes", "the limit we set", beside, 5, "% of it", 1)


def main() -> None:
    """Read the command, and do what it asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="make a folder to carry")
    parser.add_argument("--images", type=Path, help="a folder of train, validation and test.arrow")
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="where results.json goes")
    parser.add_argument("--seconds", type=float, default=540, help="how long it may take")
    parser.add_argument("--only", default="", help="parts whose names begin so, such as 'step'")
    parser.add_argument("--smoke", action="store_true", help="at a tiny size")
    parser.add_argument("--settings", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", choices=("hashes", "small"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    images = told.images
    if images is None and CARRIED and (HERE / "images").is_dir():
        images = HERE / "images"
    if told.prepare:
        prepare(told.prepare, images)
        return
    settings = json.loads(told.settings.read_text()) if told.settings else composed()
    runs = Runs(settings, smoke=told.smoke or not CUDA)
    if told.child:
        print(json.dumps(bits.hashes(runs) if told.child == "hashes" else curve.small(runs)))
        return
    if not CUDA:
        print(NO_GPU, flush=True)
    torch.set_num_threads(1)
    findings = Findings(told.out, told.seconds, told.only)
    with tempfile.TemporaryDirectory() as work:
        check(findings, runs, images, Path(work))
    findings.note("seconds", round(told.seconds - findings.left()))
    if failed := findings.failed():
        sys.exit(f"error: {len(failed)} parts failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
