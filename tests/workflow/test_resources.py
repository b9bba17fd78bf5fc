"""What jobs ask the scheduler for."""

import json
from types import SimpleNamespace

import pytest

from support.models import PARAMS
from unlabel.errors import UserError
from unlabel.params.command_line import ChosenDataset
from unlabel.params.placement import SLOTS
from unlabel.run import Run
from unlabel.workflow import forecast, resources, shards
from unlabel.workflow.plan import Plan
from unlabel.workflow.resources import LONGEST, SHORTEST, Requests

ON_CPU = "hardware.device=cpu"
GPU, CPU = "NVIDIA H100", "some CPU, 2 cores"


@pytest.fixture
def requests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNLABEL_PLAN", raising=False)
    forecast._finished.cache_clear()
    return Requests(Plan(PARAMS, tmp_path / "frozen"), gpus=1, cluster=True)


RUN = ("tiny", "digits", "simclr", "base", 0)


def wildcards(
    requests: Requests, method: str, variant: str = "base", budget: str = "tiny"
) -> SimpleNamespace:
    """Those of a planned run's job."""

    class Wildcards(SimpleNamespace):
        def __getitem__(self, name):
            return getattr(self, name)

    run = Run(budget, "digits", method, variant, 0)
    requests.plan.add(run)
    return Wildcards(budget=budget, dataset="digits", method=method, variant=variant, seed="0")


def finish(folder, method: str, seed: int, speed: float, device: str) -> None:
    there = folder / f"data/runs/tiny/digits/{method}/base/{seed}"
    there.mkdir(parents=True)
    about = {"images_per_second": speed, "images": 256, "device": device}
    (there / "run.json").write_text(json.dumps(about))


@pytest.mark.parametrize("method", ["random", "simclr", "gan", "supervised"])
def test_a_training_asks_for_a_gpu_if_it_trains_anything(requests, method):
    asked = requests.gpu("pretrain")(wildcards(requests, method))
    assert asked == int(method != "random")


def test_each_process_of_a_training_asks_for_its_own(requests):
    each = wildcards(requests, "simclr", "hardware.workers=2+training.processes=2")
    assert requests.gpu("pretrain")(each) == 2
    assert requests.processes(8000)(each) == 16000
    assert requests.threads("pretrain")(each) == 6  # one computes and two decode, in each
    assert requests.gpu("features")(each) == requests.gpu("finetune")(each) == 1
    assert requests.threads("features")(each) == 3
    assert requests.threads("probe")(each) == 1


@pytest.mark.parametrize(("images", "threads"), [(1500, 1), (3200, 3), (50_000, 16)])
def test_many_image_files_are_decoded_by_several_threads(requests, tmp_path, images, threads):
    requests.plan.datasets.chosen = ChosenDataset("folder", {"path": str(tmp_path / "photos")})
    (tmp_path / "photos").mkdir()
    for number in range(min(images, 3200)):
        (tmp_path / f"photos/{number}.png").touch()
    if images > 3200:  # the others, as a report of them would say
        known = requests.plan.datasets._stages("folder")["prepare"]
        known["images"] = {"train": images - 2000, "validation": 1000, "test": 1000}
    assert requests.decoders(SimpleNamespace(dataset="folder")) == threads
    assert requests.decoders(SimpleNamespace(dataset="digits")) == 1


def test_what_is_set_to_compute_on_cpus_asks_for_no_gpu(requests):
    assert requests.gpu("features")(wildcards(requests, "simclr")) == 1
    for stage in ("pretrain", "features", "probe", "transfer", "finetune"):
        assert requests.gpu(stage)(wildcards(requests, "simclr", ON_CPU)) == 0


def test_a_budget_says_how_many_runs_share_a_gpu_and_whether_probes_ask_for_one(requests):
    small, large = wildcards(requests, "simclr"), wildcards(requests, "simclr", budget="full")
    assert requests.gpu_slots("pretrain")(small) == SLOTS / 8
    assert requests.gpu_slots("pretrain")(large) == SLOTS
    assert requests.gpu("probe")(small) == requests.gpu_slots("probe")(small) == 0
    assert requests.gpu("probe")(large) == 1
    assert requests.plan.placement(Run(*RUN)).runs_per_gpu == 8


IMAGENET = {"train": 1_231_167, "validation": 50_000, "test": 50_000}


def test_a_job_asks_for_the_memory_of_the_features_it_measures(requests):
    small = wildcards(requests, "simclr")
    assert requests.memory.features(8000)(small) == 8000
    requests.plan.entries["dataset digits"]["prepare"]["images"] = IMAGENET
    large = wildcards(requests, "simclr", "encoder=resnet50")
    # 1,331,167 × 2,048 numbers of 4 bytes are 10,400 MiB, of which 1,000 are in the 8,000
    assert requests.memory.features(8000)(large) == 17_400
    assert requests.memory.features(8000)(small) == 8000  # 64 numbers for each image
    assert requests.memory.page(4000, [Run(*RUN), Run(*RUN[:3], "encoder=resnet50", 0)]) == 13_400
    assert requests.memory.page(4000, []) == 4000
    quick = wildcards(requests, "simclr", budget="quick")  # measures 20,000 images of train
    assert requests.memory.features(8000)(quick) == 8000
    large.target = "shapes"
    assert requests.memory.features(8000)(large) == 8000
    large.dataset, large.target = "shapes", "digits"
    requests.plan.add(Run("tiny", "shapes", "simclr", "encoder=resnet50", 0))
    assert requests.memory.features(8000)(large) == 17_400


def test_only_what_trains_is_told_to_copy_its_images(requests):
    assert requests.local_copy()(wildcards(requests, "simclr")) == "auto"
    assert requests.local_copy()(wildcards(requests, "random")) == "false"
    requests.plan.entries[Run(*RUN).folder]["pretrain"]["placement"]["local_copy"] = True
    assert requests.local_copy()(wildcards(requests, "simclr")) == "true"


def test_where_a_run_computes_makes_no_other_run(requests):
    with pytest.raises(UserError, match=r"'placement.runs_per_gpu=1' cannot be a variant, as no r"):
        wildcards(requests, "simclr", "placement.runs_per_gpu=1")
    wildcards(requests, "simclr")
    assert "placement" not in requests.plan.runs.frozen(Run(*RUN)).read_text()


def test_several_machines_are_asked_for_gpus_on_each(requests):
    each = wildcards(requests, "simclr", "training.nodes=2+training.processes=4")
    assert requests.gres("pretrain")(each) == "gpu:4"
    assert requests.gpu("pretrain")(each) == 0  # which would be of all machines together
    assert requests.node_gpus("pretrain")(each) == requests.threads("pretrain")(each) == 4
    assert requests.nodes()(each) == 2
    assert requests.nodes("srun")(each) == "srun"
    assert requests.gpu("features")(each) == 1
    one = wildcards(requests, "simclr", "training.processes=4")
    assert requests.gres("pretrain")(one) is requests.nodes("srun")(one) is None


def test_where_gpus_are_shared_a_small_training_asks_for_shards_of_one(requests, monkeypatch):
    small, large = wildcards(requests, "simclr"), wildcards(requests, "simclr", budget="full")
    two = wildcards(requests, "simclr", "training.processes=2")
    assert requests.gres("pretrain")(small) is None
    monkeypatch.setenv(shards.ENVIRONMENT, "16")  # of each GPU
    for stage in ("pretrain", "features", "measure", "finetune", "transfer"):
        assert requests.gres(stage)(small) == "shard:2"
        assert requests.gpu(stage)(small) == 0
        assert requests.node_gpus(stage)(small) == 1  # which it computes on
        assert requests.gres(stage)(large) is None
        assert requests.gpu(stage)(large) == 1
    assert (requests.gres("pretrain")(two), requests.gpu("pretrain")(two)) == (None, 2)
    nodes = wildcards(requests, "simclr", "training.nodes=2")
    assert requests.gres("pretrain")(nodes) == "gpu:1"
    for idle in (wildcards(requests, "random"), wildcards(requests, "simclr", ON_CPU)):
        assert requests.gres("pretrain")(idle) is None
    assert (requests.gres("probe")(large), requests.gpu("probe")(large)) == (None, 1)


@pytest.mark.parametrize(
    ("gres", "each"),
    [
        ("gpu:2,shard:16", 8),
        ("gpu:a100:4(S:0,1),shard:a100:40(S:0,1)", 10),
        ("gpu:2080ti:2,gpu:h100:2,shard:2K", 512),
        ("gpu:2,mps:200,shard:2", None),  # each is a whole GPU
        ("gpu:8", None),
        ("shard:8", None),
        ("(null)", None),
    ],
)
def test_what_sinfo_says_of_shards_is_understood(gres, each):
    assert shards.divided(f"cpu (null)\nsome {gres}\n") == ({"some": each} if each else {})
    assert shards.divided(f"some {gres}\nsome gpu:1,shard:4\n")["some"] == max(each or 0, 4)


@pytest.mark.parametrize(
    ("of_a_gpu", "runs", "asked"), [(8, 8, 1), (16, 8, 2), (10, 8, 2), (100, 8, 12), (4, 8, 1)]
)
def test_no_more_runs_share_a_gpu_than_the_budget_says(of_a_gpu, runs, asked):
    assert shards.needed(of_a_gpu, runs) == asked
    assert of_a_gpu // asked <= runs
    assert asked == 1 or of_a_gpu // (asked - 1) > runs


def test_the_time_of_a_training_is_forecast_from_runs_like_it(requests, tmp_path):
    minutes = requests.training_minutes()
    assert minutes(wildcards(requests, "random"), attempt=1) == SHORTEST
    assert minutes(wildcards(requests, "random"), attempt=2) == 2 * SHORTEST
    assert minutes(wildcards(requests, "simclr"), attempt=1) == LONGEST  # nothing is known
    finish(tmp_path, "rotation", seed=1, speed=0.1, device=GPU)
    finish(tmp_path, "byol", seed=1, speed=0.01, device=CPU)
    finish(tmp_path, "mae", seed=1, speed=1000, device=CPU)
    # 2 epochs of 256 images at 0.1 a second are 5120 s; it asks for three times as much
    assert minutes(wildcards(requests, "rotation"), attempt=1) == 256
    assert minutes(wildcards(requests, "rotation"), attempt=2) == 512
    assert minutes(wildcards(requests, "rotation"), attempt=3) == 1024
    assert minutes(wildcards(requests, "rotation", ON_CPU), attempt=1) == LONGEST  # not by GPUs
    assert minutes(wildcards(requests, "byol"), attempt=1) == LONGEST
    assert minutes(wildcards(requests, "mae"), attempt=1) == SHORTEST


def test_on_this_machine_nobody_is_asked_for_time(requests):
    here = Requests(requests.plan, gpus=0, cluster=False)
    assert here.training_minutes()(wildcards(here, "random"), attempt=1) == LONGEST
    assert here.gpu("pretrain")(wildcards(here, "simclr")) == 0


@pytest.mark.parametrize("asked", [True, "yes", 2, -1, 0.5, None])
def test_a_number_of_gpus_that_is_none_is_refused(asked):
    with pytest.raises(UserError, match=r"gpu=.* is not known: it must be 0, 1 or auto"):
        resources.gpus(asked, cluster=True, here=1)


def test_a_gpu_that_is_not_here_is_refused_at_once():
    with pytest.raises(UserError, match="gpu=1 asks for a GPU, but this machine shows none"):
        resources.gpus(1, cluster=False, here=0)
    assert resources.gpus("auto", cluster=False, here=0) == 0
    assert resources.gpus("auto", cluster=False, here=2) == resources.gpus(1, False, 2) == 1


def test_a_cluster_is_asked_for_what_this_machine_lacks():
    assert resources.gpus(1, True, 0) == resources.gpus("auto", True, 0) == 1
    assert resources.gpus(0, cluster=True, here=2) == 0
