"""Names that mean something to a shell, to HTML, Markdown, YAML or a spreadsheet are just names."""

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from support import project
from support.browser import CHROMIUM
from support.models import PARAMS
from support.pages import browse
from support.pixels import picture
from unlabel.analysis import tables
from unlabel.cli import main
from unlabel.data.images import read
from unlabel.errors import UserError
from unlabel.params import command_line
from unlabel.report.sections import markdown

# Whatever runs leaves a mark: a file called RUN, or the title of a page.
SHELL = "$(touch RUN) `touch RUN`; touch RUN & 'it' \"is\" {x} é %s #1: \n"
SCRIPT = "<script>document.title = 'RUN'</script>"
IMAGE = '"><img src=x onerror="document.title = \'RUN\'">'
FORMULA = "=HYPERLINK(1)|/C calc"
CLASSES = [SCRIPT, IMAGE, FORMULA, f"-rf {SHELL}"]
FILES = ["--help", "-", "a\nb", "'; touch RUN;'", "\u202egnp", "{wildcard}", "%n %s", "*", "~", " "]
ARM = f"{FORMULA}</script>{SCRIPT}"
STUDY = f"-it's {SHELL.strip()}".replace("/", "")
EACH = 25  # images of a class


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project that has been run on hostile names, and the images."""
    base = tmp_path_factory.mktemp("hostile")
    images = base / f"-rf {SHELL}"
    table: dict[str, list[str]] = {"image": [], "label": CLASSES * EACH}
    for at in range(len(CLASSES) * EACH):
        file = f"{FILES[at] if at < len(FILES) else at}.png"
        (images / "in").mkdir(parents=True, exist_ok=True)
        (images / "in" / file).write_bytes(picture(at))
        table["image"].append(f"in/{file}")
    pq.write_table(pa.table(table), images / "-table; #1.parquet")
    methods = {"methods": ["random"]}
    work = project.project(base / "work", project.STUDY | methods)
    texts = {"title": SCRIPT, "question": IMAGE, "axis": SCRIPT, "arms": {ARM: []}}
    study = project.STUDY | methods | texts
    (work / f"params/study/{STUDY}.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    asked = ["dataset=table", f"path={images / '-table; #1.parquet'}", "split=null", "size=16"]
    pages = ["reports/index.html", "reports/method/random.html", f"reports/study/{STUDY}.html"]
    project.snakemake(work, "--cores", "2", *pages, "--config", *asked)
    return base


def test_no_shell_is_made_of_them(hostile: Path) -> None:
    assert list(hostile.rglob("RUN")) == []
    splits = [
        read(hostile / f"work/data/prepared/table/{split}.arrow")
        for split in ("train", "validation", "test")
    ]
    assert splits[0][1].classes == tuple(sorted(CLASSES))
    assert sum(len(split.id) for split, _ in splits) == EACH * len(CLASSES)


def test_programs_take_them_as_they_are(hostile: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(hostile)
    run = "work/data/runs/tiny/table/random/base/0"
    (images,) = hostile.glob("-rf*")
    features = f"-f {SHELL.strip()}.parquet"
    main(["embed", "--run", run, f"--images={images.name}", f"--out={features}"])
    names = pq.read_table(features)["path"].to_pylist()
    assert f"{images.name}/in/a\nb.png" in names
    assert len(names) == EACH * len(CLASSES)
    query = [f"--query={images.name}/in/{name}.png" for name in ("--help", "a\nb")]
    for each in query:
        main(["neighbors", f"--features={features}", each, "--run", run, "--number", "2"])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 * (2 + 2)  # a line each, whatever is in the names
    main(["export", "--run", run, f"--out=-e {SHELL.strip()}.safetensors"])
    assert (hostile / f"-e {SHELL.strip()}.safetensors").exists()
    assert list(hostile.rglob("RUN")) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_pages_show_them_as_text_and_run_nothing(hostile: Path, tmp_path: Path) -> None:
    reports = hostile / "work/reports"
    shown = {
        name: browse(reports / f"{name}.html")
        for name in ("index", "method/random", f"study/{STUDY}")
    }
    titles = {name: page.all("title")[0]["text"] for name, page in shown.items()}
    assert "RUN" not in titles.values()
    assert titles[f"study/{STUDY}"] == f"{SCRIPT}: {IMAGE}"
    for page in shown.values():
        assert [each for each in page.all("img") if not each["src"].startswith("data:")] == []
    method = shown["method/random"]
    for name in CLASSES:
        lines = [" ".join(each["text"].split()) for each in method.all("th", "text", "figcaption")]
        assert " ".join(name.split()) in lines
    assert any(ARM in each["text"] for each in shown[f"study/{STUDY}"].all("td"))
    charts = [each for each in method.all("figure") if each.get("class") == "chart"]
    drawn = [each for each in method.all("svg") if "marks" in each.get("class", "")]
    assert len(drawn) == len(charts) >= 2
    unescaped = tmp_path / "unescaped.html"
    unescaped.write_text(f"<title>x</title><body>{SCRIPT}</body>")
    assert browse(unescaped).all("title")[0]["text"] == "RUN"  # it would have run


EXPORT = """<script>
const written = [...document.querySelectorAll(".export a")].map((link) => {
  link.addEventListener("click", (event) => event.preventDefault());
  link.click();
  return decodeURIComponent(link.href.split(",").slice(1).join(","));
});
const shown = document.createElement("pre");
shown.id = "written";
shown.textContent = JSON.stringify(written);
document.body.append(shown);
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_tables_taken_from_a_page_compute_nothing(hostile: Path) -> None:
    page = browse(hostile / "work/reports/method/random.html", EXPORT)
    written = json.loads(next(e["text"] for e in page.all("pre") if e.get("id") == "written"))
    confusion = next(each for each in written if "HYPERLINK" in each and each.startswith('"true'))
    rows = list(csv.reader(io.StringIO(confusion)))
    assert f"'{FORMULA}" in rows[0]
    assert not any(cell.startswith(("=", "@")) for row in rows for cell in row)
    table = next(each for each in written if "HYPERLINK" in each and each.startswith("| true"))
    assert {line.replace("\\|", "").count("|") for line in table.splitlines()} == {6}
    assert "<script" not in table


def test_tables_in_files_compute_nothing_and_hold_no_html(hostile: Path) -> None:
    study = hostile / f"work/reports/study/{STUDY}"
    with Path(f"{study}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["arm"] for row in rows} == {f"'{ARM}"}
    text = Path(f"{study}.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img" not in text
    assert text.splitlines()[0] == f"# {SCRIPT.replace('<', '&lt;')}"


def test_numbers_are_no_formulas() -> None:
    table = pd.DataFrame({"arm": ["-1", "+0.5", "=1", "-x", "@a", "\ta", "a"], "value": [-1.0] * 7})
    rows = list(csv.reader(io.StringIO(tables.comma_separated(table))))[1:]
    assert [row[0] for row in rows] == ["-1", "+0.5", "'=1", "'-x", "'@a", "'\ta", "a"]
    assert {row[1] for row in rows} == {"-1"}


def test_a_cell_of_markdown_stays_one() -> None:
    text = markdown(["a|b", "c"], [["x\\|y\n<b>", "< 0.001"]])
    assert text == "| a\\|b | c |\n|---|---|\n| x\\\\\\|y &lt;b> | < 0.001 |\n"


@pytest.mark.parametrize("path", ["photos #1", "a: b", "007", "1e3", "true", "{x}", "- a", "a\nb"])
def test_a_path_is_what_was_typed(path: str) -> None:
    """Snakemake reads it as YAML."""
    typed = ["--cores", "1", "--config", "dataset=folder", f"path={path}", "size=16"]
    found = command_line.asked({"dataset": "folder", "path": yaml.safe_load(path)}, PARAMS, typed)
    assert found.changes == {"path": path}
    typed = ["--config=dataset=folder", f"--config=path={path}"]
    assert command_line.asked({"dataset": "folder", "path": 1}, PARAMS, typed).changes == {
        "path": path
    }


def test_an_error_is_one_line_that_a_terminal_can_show() -> None:
    error = UserError("a\nb\x1b]0;c\x07 \u202e \udcff é")
    assert str(error) == "a\\nb\\x1b]0;c\\x07 \\u202e \\udcff é"
