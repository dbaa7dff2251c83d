"""Keeping the store healthy: every stored byte is read and hashed again each night."""

import dagster as dg

from resources import StoreResource


@dg.op(description="Re-read and re-hash everything in the store; fail when anything is damaged or missing.")
def check_store(context: dg.OpExecutionContext, store: StoreResource) -> None:
    report = store.open().fsck()
    context.add_output_metadata({"objects": report.objects, "nbytes": report.nbytes})
    if not report.clean:
        listed = "\n".join(f"{problem.place}: {problem.what}" for problem in report.problems)
        raise dg.Failure(f"{len(report.problems)} problems in the store:\n{listed}", allow_retries=False)


@dg.job(description="Check the store, as `smalti fsck` does.")
def maintenance() -> None:
    check_store()


nightly_check = dg.ScheduleDefinition(
    job=maintenance, cron_schedule="0 3 * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
