"""Metrics are called and written as they were declared."""

import pytest
import yaml

from support.runs import declarations
from unlabel.analysis.metric import Metrics, capital, natural
from unlabel.metric import Metric

METRICS = Metrics.of(declarations())


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("validation_knn", "kNN accuracy, validation (%)"),
        ("validation_digits_knn", "kNN accuracy, validation, on digits (%)"),
        ("lowshot_1", "linear accuracy, 1 % of labels (%)"),
        ("finetune_100", "fine-tuned accuracy, 100 % of labels (%)"),
        ("linear_z_hue", "linear accuracy for hue, on z (%)"),
        ("shapes_linear_hue", "linear accuracy for hue, on shapes (%)"),
        ("log.mutual_information_bound", "mutual information bound at the end of training (nats)"),
        ("log.loss", "loss at the end of training"),
        ("run.seconds", "time to train one run (s)"),
        ("linear_l2", "weight decay of the linear classifier"),
        ("half_life", "half life"),  # declared by nobody
        ("log.half_life", "half life at the end of training"),
    ],
)
def test_a_metric_has_a_heading(name, heading):
    assert METRICS.describe(name).heading == heading
    assert METRICS.describe(name).name == name
    assert METRICS.describe(name).share == heading.endswith("(%)")


def test_a_column_of_the_log_is_described_as_a_curve():
    found = METRICS.column("mutual_information_bound")
    assert (found.name, found.heading) == (
        "mutual_information_bound",
        "mutual information bound (nats)",
    )
    assert METRICS.column("accuracy").write(0.512) == "51.2"


def test_a_declaration_is_frozen_whole():
    metrics = (
        Metric("a", "A", share=True, better="higher", labels=True, projector=True),
        Metric("b_{factor}", "B of {factor}", unit="s", better="lower"),
    )
    plain = yaml.safe_load(yaml.safe_dump(Metrics.frozen(metrics)))
    assert Metrics.of(plain) == Metrics(metrics)
    assert Metrics.of(plain).describe("b_top_left").title == "B of top left"
    assert (Metrics.of(plain).describe("a").sign, Metrics.of(plain).describe("b_x").sign) == (1, -1)


def test_a_heading_begins_with_a_capital():
    assert capital("kNN accuracy") == "kNN accuracy"
    assert capital("linear accuracy, on z") == "Linear accuracy, on z"


def test_names_are_sorted_as_people_would():
    names = ["lowshot_1_std", "lowshot_10", "lowshot_1", "lowshot_0.5"]
    assert sorted(names, key=natural) == ["lowshot_0.5", "lowshot_1", "lowshot_10", names[0]]
