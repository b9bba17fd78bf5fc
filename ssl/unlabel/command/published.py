"""Say which published verdicts may be out of date, and mark them."""

from pathlib import Path

from unlabel import files
from unlabel.errors import UserError
from unlabel.params import study
from unlabel.workflow.published_studies import changed, marked, records


def run(params: Path = Path("params"), published: Path = Path("reports/published")) -> None:
    """Compare what made each published verdict with today's code and settings.

    The first lines of each Markdown file say so if they differ. A result is current if preparing
    images, training and measuring have the same settings and code as when it was made, and judging
    gives the same verdict.

    Args:
        params: the folder of all settings
        published: the folder that `unlabel publish` copies to

    Raises:
        UserError: if a folder has no study, or a published file is damaged
    """
    study.names(params)  # of another folder, all verdicts would be marked
    if not (found := records(published)):
        raise UserError(f"{published}/study has no verdict; name the folder with --published")
    texts, stale = dict[Path, str](), dict[str, str]()
    for name, record in found.items():
        if why := changed(record, params, own=name == record["name"]):
            stale[name] = why
        page = published / f"study/{name}.md"
        texts[page] = marked(_text(page), why)
        print(f"{name}: {why or 'current'}")
    page = published / "statements.md"
    if page.exists():
        judged = {path.stem for path in published.glob("verdict/*.json")}
        old = sorted(stale.keys() & judged)
        which = f"{len(old)} of {len(judged)} studies ({', '.join(old)})"
        said = which if len(old) < len(judged) else "all studies"
        texts[page] = marked(_text(page), said if old else "")
    for each, text in texts.items():  # all were read before the first is written
        files.write_text(each, text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read; publish it again") from error
