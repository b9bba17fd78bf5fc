# The whole workflow: prepare → pretrain → features → probe, finetune → report.
# What is built stands in params/; each rule runs one stage of ssl/unlabel/stage/.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "ssl"))

from unlabel.errors import UserError, of_machine
from unlabel.params import command_line, compose, study
from unlabel.run import Run, files_of, shown
from unlabel.workflow import forecast, forkserver, resources, slurm, submissions, takeover
from unlabel.workflow.engine import patches, provenance, tampering
from unlabel.workflow.plan import Plan
from unlabel.workflow.resources import doubled


configfile: "params/workflow.yaml"


PARAMS = Path("params")
RUN = "data/runs/{budget}/{dataset}/{method}/{variant}/{seed}"
PREPARED = "data/prepared/{dataset}"
PROBES = compose.probes(PARAMS)
METRICS = [f"metrics/{probe}.json" for probe in [*PROBES, "finetune"]]
config |= command_line.names(config)
BUDGET = config["budget"]
CLUSTER = workflow.resource_settings.nodes is not None  # jobs run on other machines
GPUS = resources.gpus(CLUSTER) if config["gpu"] == "auto" else config["gpu"]
DRY, CORES = forecast.asked(sys.argv[1:])
LOOKING = DRY or not (CLUSTER or workflow.resource_settings.cores)  # it runs no jobs

takeover.use_this_python()
patches.overwrite_links()
patches.explain_lock()
patches.hasten()
if CLUSTER:
    slurm.explain_limits()
try:
    if not takeover.is_job():
        takeover.say_if_full()
        ALIVE = takeover.take_over(LOOKING)
        provenance.restore(thorough=False)
        tampering.look_after()
    PLAN = Plan.current(chosen=command_line.asked(config, PARAMS, sys.argv[1:]))
    STUDY = PLAN.for_dataset(study.read(PARAMS, config["study"]), BUDGET)
    RUNS = [run for _, run in STUDY.runs(PARAMS, BUDGET)]
    REPORT = PLAN.report(STUDY, BUDGET)
    ASKED = []
    for target in sys.argv[1:]:
        if target.startswith("data/runs/"):  # a run of no study, asked for by its path
            ASKED.append(Run.of(target))
            PLAN.add(ASKED[-1])
            if "/transfer/" in target:
                PLAN.dataset(Path(target).stem)
    for name in resources.studies(sys.argv[1:], PARAMS):
        ASKED += [Run.parse(run["folder"]) for run in PLAN.brief(name, BUDGET)["runs"]]
    PLAN.keep()
    if DRY and PLAN.main:
        print(forecast.forecast(PLAN, ASKED or RUNS).sentence(CORES), file=sys.stderr)
except UserError as error:
    sys.exit(f"error: {error}")
except OSError as error:
    if not (said := of_machine(error)):
        raise
    sys.exit(f"error: {said}")


wildcard_constraints:
    budget="[^/]+",
    dataset="[^/]+",
    method="[^/]+",
    variant="[^/]+",
    seed=r"\d+",
    target="[^/]+",
    study="[^/]+",


include: "workflow/rules/prepare.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/method.smk"
include: "workflow/rules/study.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        sorted({f"reports/method/{run.method}.html" for run in RUNS}),
        # also what no report reads, so that it is made again where it is missing
        lambda wildcards: files_of(
            RUNS, "encoder.safetensors", "method.safetensors", "features.parquet"
        ),


onstart:
    patches.built()
    try:
        takeover.check_folders(
            str(file)
            for job in workflow.dag.needrun_jobs()
            for file in (*job.output, *job.log)
        )
    except UserError as error:
        sys.exit(f"error: {error}")
    if workflow.local_exec and not (
        workflow.remote_exec or workflow.subprocess_exec
    ):
        forkserver.start(threads=1)  # of every rule
        # Snakemake 9 looks for jobs to start once a second, and once more each second for each job
        # that has ended, in case so many were started that it had to wait: a core's time after 500.
        workflow.scheduler.job_rate_limiter = None
    if not workflow.local_exec:
        try:
            if workflow.executor_plugin.name == "slurm":
                slurm.check(workflow, GPUS)
            submissions.note(workflow)
        except UserError as error:
            sys.exit(f"error: {error}")


onerror:
    if not workflow.local_exec and workflow.executor_plugin.name == "slurm":
        slurm.cancel(Path.cwd())
