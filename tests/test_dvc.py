"""DVC and Snakemake together, on real remotes: versions are shared, compared and come back."""

import json
import os
import re
import shutil
import sys

import pytest
import yaml

from conftest import PARAMS
from project import ROOT, digests, planned, snakemake
from unlabel import study
from versions import clone, commit, dvc, git, replace, run, unlabel

METRICS = "reports/metrics.json"
RUN = "data/runs/tiny/digits/simclr/base/0"
SIMCLR = {"pretrain_simclr": 1, "features": 1, "probe": 1, "finetune": 1, "report": 1, "method": 1}
```
