"""What all pages share: the templates, and the script that draws their charts."""

from functools import cache
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert

from unlabel import files
from unlabel.analysis.collapse import ADVICE, FLAT, LINE
from unlabel.files import FROZEN
from unlabel.units import duration, number, size

TEMPLATES = Path(__file__).parent / "template"


def render(template: str, **content: Any) -> str:
    """A page as HTML: one file that needs no other and no network."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "number": number, "size": size}
    environment.globals |= {"flat": FLAT, "line": LINE, "advice": ADVICE}
    return environment.get_template(template).render(vega=vega(), **content)


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in the version that Altair writes for.

    To bundle them takes two seconds, so Snakemake's folder keeps the bundle, where there is one.
    """
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    kept = FROZEN / f"vega-{version}-{installed('vl-convert-python')}.js"
    if kept.exists():
        return kept.read_text(encoding="utf-8")
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    bundle = bundle.replace("</script", "<\\/script")
    if FROZEN.exists():
        files.write_text(kept, bundle)
    return bundle
