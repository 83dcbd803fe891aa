"""What the screens have in common that are opened over another one, for one model, and start jobs of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec

from edgetui.core.workflows import Workflow
from edgetui.screens.job_screen import JobScreen
from edgetui.widgets.job_panel import JobPanel

if TYPE_CHECKING:
    from edgetui.core.jobs import JobKind, JobRecord
    from edgetui.core.models import ModelEntry

AskedWorkflow = TypeVar("AskedWorkflow", bound=Workflow)


class ModelJobScreen(JobScreen):
    """Subclasses set `KINDS` and `LIST`, show `JobPanel` while they have the class `-job`, and may heed `job_ended`."""

    KINDS: ClassVar[tuple[JobKind, ...]]
    """Kinds of the jobs that it starts; one that runs already is shown too."""
    LIST: ClassVar[str]
    """Selector of what has the focus while no job is looked at."""

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__()
        self._entry = entry
        self._job_id: str | None = None

    def action_back(self) -> None:
        """From the job: cancel it after a question, or close what is over; else back to where this was opened."""
        if self.query_one(JobPanel).has_focus and self.job is not None:
            if self.job.is_running:
                self.action_cancel_job()
            else:
                self.close_job()
        elif not self.clear_failure():
            self.dismiss()

    async def ask_settings(self, settings: AskedWorkflow) -> AskedWorkflow | None:
        """A form of a workflow's settings; gives them as they were changed, None when the form was left."""
        from edgetui.screens.fields_dialog import Field, FieldsDialog

        fields = [
            Field(type(settings), name, label, note, getattr(settings, name))
            for name, (label, note) in settings.FIELDS.items()
        ]
        values = await self.app.push_screen_wait(FieldsDialog(settings.TITLE, fields))
        return None if values is None else msgspec.structs.replace(settings, **values)

    def follow_job(self, record: JobRecord) -> None:
        """Show a job that was just started."""
        self.clear_failure()
        self._open_job(record)
        self.query_one(JobPanel).focus()

    def take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show the job started here, or one of its kind that is found running."""
        own = [record for record in records if record.kind in self.KINDS]
        shown = next((record for record in own if record.job_id == self._job_id), None)
        shown = shown or next((record for record in own if record.is_running), None)
        if shown is None or shown == self.job:
            return
        ended = self.job is not None and self.job.is_running and not shown.is_running
        self._open_job(shown)
        if ended:
            self.job_ended(shown)

    def job_ended(self, record: JobRecord) -> None:
        """The job in the panel has just ended."""

    def close_job(self) -> None:
        """Show no job any more."""
        self._job_id = None
        self.remove_class("-job")
        self.show_job(None)
        self.query_one(self.LIST).focus()

    def _open_job(self, record: JobRecord) -> None:
        self._job_id = record.job_id
        self.add_class("-job")
        self.show_job(record)
