"""Reports: a title and its questions, each with what came of it. One JSON file each, written whole after every question."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone
from pathlib import Path

from pydantic import BaseModel

from zhilu.apps.report.ask import ReportSection
from zhilu.context import Context
from zhilu.errors import DamagedError, NotFoundError
from zhilu.home import atomic_write
from zhilu.messages import T

__all__ = ["Report", "Reports"]


class Report(BaseModel):
    """``sections`` follow ``questions``; a job fills them in one after the other. ``every_hours``: made again by itself."""

    id: str
    title: str
    source_id: str
    questions: list[str]
    sections: list[ReportSection] = []
    created_at: datetime
    made_at: datetime | None = None
    every_hours: int | None = None

    @property
    def is_whole(self) -> bool:
        return len(self.sections) == len(self.questions)


class Reports:
    """The reports of one data home, ``<home>/apps/report/reports/<id>.json``."""

    def __init__(self, context: Context) -> None:
        self.folder = context.home.path / "apps" / "report" / "reports"

    def create(self, title: str, source_id: str, questions: list[str]) -> Report:
        report = Report(
            id=uuid.uuid4().hex[:12],
            title=title,
            source_id=source_id,
            questions=questions,
            created_at=datetime.now(timezone.utc),
        )
        self.save(report)
        return report

    def save(self, report: Report) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_write(self.folder / f"{report.id}.json", report.model_dump_json(indent=1))

    def list(self) -> list[Report]:
        found = [r for path in self.folder.glob("*.json") if (r := _read(path)) is not None]
        return sorted(found, key=lambda r: r.created_at, reverse=True)

    def get(self, report_id: str) -> Report:
        """Raises: NotFoundError; DamagedError: its file cannot be read."""
        path = self.folder / f"{report_id}.json"
        if not re.fullmatch(r"[0-9a-f]{12}", report_id) or not path.is_file():
            raise NotFoundError(
                T(f"There is no report {report_id!r}.", f"没有报告 {report_id!r}。"),
                param="report",
                fix="zhilu report list",
            )
        try:
            return Report.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DamagedError(
                T(f"The report {report_id!r} is damaged.", f"报告 {report_id!r} 已损坏。"),
                fix=f"zhilu report delete {report_id}",
            ) from error

    def delete(self, report_id: str) -> None:
        path = self.folder / f"{report_id}.json"
        if not re.fullmatch(r"[0-9a-f]{12}", report_id) or not path.is_file():
            self.get(report_id)
        path.unlink()


def _read(path: Path) -> Report | None:
    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # ``get`` says what is wrong with it
