"""Render a page from its template, with the script that draws its charts."""

import os
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
    """A page as HTML: one self-contained file that needs no network."""
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
    """Vega, Vega-Lite and Vega-Embed, in the version that Altair targets.

    Bundling takes two seconds, so the bundle is cached in Snakemake's folder if there is one. An
    experiment in DVC's queue runs in a copy of the project without it, and finds the project's own.
    """
    folder = Path(os.environ.get("DVC_ROOT", "")) / FROZEN
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    cached = folder / f"vega-{version}-{installed('vl-convert-python')}.js"
    if cached.exists():
        return cached.read_text(encoding="utf-8")
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    bundle = bundle.replace("</script", "<\\/script")
    if folder.exists():
        files.write_text(cached, bundle)
    return bundle
