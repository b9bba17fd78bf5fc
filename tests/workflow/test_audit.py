"""`make check` names packages of the lock with known faults, or says that nobody was asked."""

import json
import sys
from pathlib import Path

import pytest

from support.project import ROOT
from support.server import Quiet, served

sys.path.append(str(ROOT / "workflow/audit"))
import scan

LOCK = """
jinja2==2.4.1 --hash=sha256:{0}
click==8.1.0 --hash=sha256:{0}
""".format("0" * 64)
FAULT = {
    "id": "GHSA-0000-0000-0000",
    "summary": "it is bad",
    "details": "very",
    "aliases": ["CVE-2014-1402"],
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.7.2"}]},
            ],
        }
    ],
}


class Advisories(Quiet):
    """Answers as the service OSV does."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = [FAULT] if asked["package"]["name"] == "jinja2" else []
        content = json.dumps({"vulns": known} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.mark.skipif(not scan.TOOL.exists(), reason="needs what `make check` installs")
def test_a_package_with_a_known_fault_is_named(tmp_path: Path) -> None:
    """By the real pip-audit, asking a service on this machine."""
    (tmp_path / "lock").write_text(LOCK)
    asked = ["--cache-dir", str(tmp_path / "cache"), "--vulnerability-service", "osv"]
    with served(tmp_path, Advisories) as address:
        found = scan.scan([*asked, "--osv-url", f"{address}v1/query"], tmp_path / "lock")
    assert found == scan.Verdict(
        [
            "2 packages scanned for known faults: 1 found",
            "jinja2 2.4.1: CVE-2014-1402, fixed in 2.7.2",
        ],
        1,
    )
    found = scan.scan([*asked, "--osv-url", address], tmp_path / "lock")  # it has gone
    assert found.status == 0
    (line,) = found.lines
    assert line.startswith("the scan for known faults of the packages was skipped: ")


def test_a_service_that_knows_no_package_has_not_scanned_any() -> None:
    """pip-audit itself would say that it found no faults."""
    unknown = {"name": "a", "skip_reason": "Dependency not found"}
    assert scan.judge([unknown] * 3).lines == [
        "the scan for known faults of the packages was skipped: "
        "the service knows none of the 3 packages"
    ]
    known = {"name": "b", "version": "1", "vulns": []}
    assert scan.judge([unknown, known]) == scan.Verdict(
        ["1 packages scanned for known faults: none; of 1 the service knows nothing"], 0
    )
    fault = {"id": "PYSEC-1", "fix_versions": [], "aliases": []}
    found = scan.judge([known | {"vulns": [fault]}])
    assert found.lines[1:] == ["b 1: PYSEC-1, not fixed yet"]
    assert found.status == 1


def test_without_pip_audit_the_scan_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "TOOL", tmp_path)
    found = scan.scan([])
    assert found.status == 0
    assert found.lines[0].endswith("No module named pip_audit")
