# The whole workflow: prepare → pretrain → features → probe, finetune → report.
# params/ says what is built. Each rule runs one stage of ssl/unlabel/stage/.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "ssl"))

from unlabel.params import compose, study
from unlabel.run import compared, files_of, shown, versioned
from unlabel.workflow.invocation import Invocation, params_folder
from unlabel.workflow.resources import doubled

PARAMS = params_folder(workflow)


configfile: PARAMS / "workflow.yaml"


INVOCATION = Invocation(workflow, config, PARAMS)
PLAN, STUDY, RUNS = INVOCATION.plan, INVOCATION.study, INVOCATION.runs
BUDGET, ASKED, REQUESTS = INVOCATION.budget, INVOCATION.asked, INVOCATION.requests
RUN = "data/runs/{budget}/{dataset}/{method}/{variant}/{seed}"
PREPARED = "data/prepared/{dataset}"
PHASES = "prepare pretrain features probe measure finetune transfer report method study"
METRICS = [f"metrics/{name}.json" for name in compose.measured(PARAMS, STUDY.probes)]


resource_scopes:
    in_turn="local",  # in a group of jobs on a cluster, one runs after another


wildcard_constraints:
    budget="[^/]+",
    dataset="[^/]+",
    method="[^/]+",
    variant="[^/]+",
    seed=r"\d+",
    target="[^/]+",
    study="[^/]+",


for phase in PHASES.split():

    include: f"workflow/rules/{phase}.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        sorted({f"reports/method/{run.method}.html" for run in RUNS}),
        versioned(RUNS, METRICS),  # so that what is missing is made again


onstart:
    INVOCATION.start(workflow)


onerror:
    INVOCATION.fail(workflow)
