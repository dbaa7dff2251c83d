"""Run by the Python that has ``roc-validator``: validate a crate without a network; print what it says as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rocrate_validator import models, services
from rocrate_validator.utils import document_loader
from rocrate_validator.utils.http import HttpRequester


class _answer:  # noqa: N801 (stands for a response of requests)
    def __init__(self, known: dict[str, object], url: str) -> None:
        self.status_code = 200 if url in known else 504
        self.ok, self.text = url in known, json.dumps(known.get(url))
        self.content, self.headers = self.text.encode(), {"Content-Type": "application/ld+json"}

    def json(self) -> object:
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        if not self.ok:
            raise OSError("there is no network here")


def main(crate: str, profile: str, severity: str, contexts: str) -> None:
    """Print ``{"passed": ..., "issues": [[check, severity, message, about], ...]}``.

    Args:
        contexts: a JSON file, URL -> the document there; nothing else is fetched.
    """
    known = json.loads(Path(contexts).read_text())
    document_loader._fetch_json_ld = known.__getitem__
    HttpRequester.get = HttpRequester.head = lambda self, url, **_: _answer(known, url)
    settings = models.ValidationSettings(
        rocrate_uri=crate,
        profile_identifier=profile,
        requirement_severity=models.Severity[severity],
        offline=True,
        skip_availability_check=True,
        cache_path=f"{contexts}.cache",
    )
    result = services.validate(settings)
    issues = [
        [one.check.identifier, one.severity.name, one.message, str(getattr(one, "violatingEntity", ""))]
        for one in result.get_issues(models.Severity[severity])
    ]
    skipped = [str(getattr(check, "identifier", check)) for check in result.skipped_checks]
    print(json.dumps({"passed": result.passed(models.Severity[severity]), "issues": issues, "skipped": skipped}))


main(*sys.argv[1:])
