"""Jobs are written down before they are done, taken fairly, limited, and their results kept for as long as was said."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink.archive.rows import declared_columns
from fink.archive.state import State
from fink.config import ServeSettings
from fink.errors import BusyError, NotFoundError, QuotaError, RefusedError, RequestError
from fink.services.access import Access, Asker
from fink.services.jobs import ATTEMPTS, FOLDER, Job, Jobs, parts_of

ANA, BEN = Asker("token:1", "ana", frozenset({"order"})), Asker("token:2", "ben", frozenset({"order"}))
ROOT, SOMEBODY = Asker("token:3", "root", frozenset({"admin"})), Asker("address:192.0.2.1", scopes=frozenset({"order"}))
DAY = 86400.0
MEANINGS = {"mag": declared_columns()["mag"]}


def desk(folder: Path, limits: ServeSettings | None = None) -> tuple[Jobs, Access]:
    """Open the jobs of a folder, as each process does for itself."""
    limits = limits or ServeSettings(jobs_at_once=4, anonymous_jobs_at_once=1, rows_per_day=100, job_days=3)
    access = Access(State(folder), limits)
    return Jobs(folder, limits, access), access


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return desk(tmp_path)[0]


def taken(jobs: Jobs) -> Job:
    """Take a job, which there must be."""
    job = jobs.take()
    assert job is not None
    return job


def magnitudes(rows: int) -> pa.Table:
    return pa.table({"mag": pa.array([15.0 + row / 10 for row in range(rows)], pa.float32())})


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / FOLDER).iterdir())


def test_an_order_outlives_whoever_took_it(jobs: Jobs, tmp_path: Path) -> None:
    assert jobs.listed(ROOT) == []
    job = jobs.order(ANA, "sql", {"sql": "SELECT 1", "n": [1, 2]}, more={"alerts": 7})
    assert desk(tmp_path)[0].get(job.name) == job
    assert (job.kind, job.request, job.owner, job.who, job.state) == ("sql", {"sql": "SELECT 1", "n": [1, 2]}, "ana", "token:1", "ordered")
    assert job.expires - job.ordered == pytest.approx(3 * DAY)
    assert job.name.startswith(time.strftime("job_%Y-", time.gmtime(job.ordered)))
    assert jobs.order(ANA, "sql", {}).name != job.name
    assert jobs.order(ANA, "sql", {}, name="mine").name == "mine"


@pytest.mark.parametrize(("asked", "kept"), [(None, 3.0), (0.5, 0.5), (30.0, 3.0)])
def test_results_are_kept_no_longer_than_the_settings_say(jobs: Jobs, asked: float | None, kept: float) -> None:
    job = jobs.order(ANA, "sql", {}, days=asked)
    assert job.days == kept
    assert job.expires - job.ordered == pytest.approx(kept * DAY)


def test_a_summary_tells_moments_and_progress_and_nothing_of_the_server(jobs: Jobs) -> None:
    jobs.order(ANA, "sql", {"sql": "SELECT 1"}, more={"alerts": 7})
    shown = jobs.progress(taken(jobs), 3, 8, {"missing": 2}).summary()
    assert (shown["state"], shown["rows"], shown["total"], shown["progress"]) == ("running", 3, 8, 0.375)
    assert (shown["alerts"], shown["missing"], shown["ended"]) == (7, 2, None)
    assert time.strptime(shown["started"], "%Y-%m-%dT%H:%M:%SZ") >= time.strptime(shown["ordered"], "%Y-%m-%dT%H:%M:%SZ")
    assert not {"owner", "who", "upload", "attempts", "days", "more"} & set(shown)
    known = jobs.progress(jobs.listed(ANA)[0], 9, 8).summary()
    unknown = jobs.progress(jobs.listed(ANA)[0], 9).summary()
    assert (known["progress"], unknown["progress"]) == (1.0, 0.0)


def test_owners_list_and_get_their_own_and_admins_all(jobs: Jobs) -> None:
    first, second = jobs.order(ANA, "sql", {}), jobs.order(ANA, "path", {})
    other, anonymous = jobs.order(BEN, "sql", {}), jobs.order(SOMEBODY, "sql", {})
    assert [job.name for job in jobs.listed(ANA)] == [second.name, first.name]
    assert [job.name for job in jobs.listed(ANA, ["path"])] == [second.name]
    assert [job.name for job in jobs.listed(SOMEBODY)] == [anonymous.name]
    assert [job.name for job in jobs.listed(ROOT)] == [anonymous.name, other.name, second.name, first.name]
    assert jobs.get(first.name, ROOT) == jobs.get(first.name, ANA) == first
    for asker, name in ((BEN, first.name), (SOMEBODY, first.name), (ANA, anonymous.name), (ANA, "job_none")):
        for ask in (jobs.get, jobs.cancel, jobs.result):
            with pytest.raises(NotFoundError, match=f"no job {name}, or it is not yours"):
                ask(name, asker)
    assert jobs.get(first.name).state == "ordered"


def test_an_asker_has_so_many_jobs_at_once_and_no_more(jobs: Jobs) -> None:
    names = [jobs.order(ANA, "sql", {}).name for _ in range(4)]
    taken(jobs)
    with pytest.raises(QuotaError, match=r"4 jobs wait or run, and 4 is the limit \(serve\.jobs_at_once\)") as refused:
        jobs.order(ANA, "sql", {})
    assert refused.value.after > 0
    assert len(jobs.listed(ANA)) == 4
    jobs.order(SOMEBODY, "sql", {})
    with pytest.raises(QuotaError, match=r"serve\.anonymous_jobs_at_once"):
        jobs.order(SOMEBODY, "sql", {})
    jobs.order(BEN, "sql", {})
    jobs.cancel(names[0], ANA)
    assert jobs.order(ANA, "sql", {}).state == "ordered"


def test_nothing_is_ordered_when_the_rows_or_the_room_are_used_up(tmp_path: Path) -> None:
    jobs, access = desk(tmp_path)
    access.count_rows(ANA.who, 100)
    with pytest.raises(QuotaError, match="rows of a day are used up"):
        jobs.order(ANA, "sql", {})
    jobs.order(BEN, "sql", {})
    (tmp_path / FOLDER / "old.parquet").write_bytes(b"x" * 2000)
    narrow, _ = desk(tmp_path, ServeSettings(job_gigabytes=1e-6))
    with pytest.raises(BusyError, match=r"serve\.job_gigabytes"):
        narrow.order(BEN, "sql", {})
    assert len(jobs.listed(ROOT)) == 1


def test_what_was_sent_is_taken_over_and_goes_with_the_end(jobs: Jobs, tmp_path: Path) -> None:
    for state in ("done", "failed"):
        sent = tmp_path / "table.csv.gz"
        sent.write_bytes(b"ra,dec")
        ordered = jobs.order(ANA, "xmatch", {}, upload=sent)
        assert not sent.exists()
        assert ordered.upload == f"{ordered.name}.upload.csv.gz"
        assert (tmp_path / FOLDER / ordered.upload).read_bytes() == b"ra,dec"
        jobs.finish(taken(jobs), "done" if state == "done" else "failed")
        assert files(tmp_path) == []


def test_the_oldest_job_of_the_least_busy_asker_is_taken(jobs: Jobs) -> None:
    assert jobs.take() is None
    first, second, other = (jobs.order(asker, "sql", {}) for asker in (ANA, ANA, BEN))
    order = [taken(jobs) for _ in range(3)]
    assert [job.name for job in order] == [first.name, other.name, second.name]
    assert jobs.take() is None
    assert {job.name for job in jobs.running()} == {first.name, second.name, other.name}
    assert jobs.get(first.name) == order[0]
    assert (order[0].state, order[0].attempts) == ("running", 1)
    assert order[0].started is not None


def test_a_job_is_begun_again_until_it_is_given_up(jobs: Jobs) -> None:
    name = jobs.order(ANA, "sql", {}).name
    for attempt in range(1, ATTEMPTS + 1):
        job = jobs.progress(taken(jobs), 40, 50)
        assert job.attempts == attempt
        jobs.begin_again(job, "the process ended with -9")
        assert jobs.get(name).state == ("ordered" if attempt < ATTEMPTS else "failed")
    assert jobs.take() is None
    given_up = jobs.get(name)
    assert given_up.message == f"given up after {ATTEMPTS} attempts: the process ended with -9"
    assert given_up.ended is not None


def test_a_job_begun_again_counts_its_rows_from_nothing(jobs: Jobs) -> None:
    jobs.order(ANA, "sql", {})
    jobs.begin_again(jobs.progress(taken(jobs), 40, 50), "the server ended")
    again = taken(jobs)
    assert (again.rows, again.total, again.attempts) == (0, None, 2)


def test_a_result_is_written_in_parts_and_counted(tmp_path: Path) -> None:
    jobs, access = desk(tmp_path)
    name = jobs.order(ANA, "sql", {}, days=1).name
    with pytest.raises(NotFoundError, match="is ordered and has no result; ask again"):
        jobs.result(name, ANA)
    job = jobs.write(taken(jobs), parts_of(magnitudes(25), 10), MEANINGS, total=25)
    assert (jobs.get(name).rows, jobs.get(name).total) == (25, 25)
    with pytest.raises(NotFoundError, match="is running and has no result; ask again"):
        jobs.result(name, ANA)
    done = jobs.finish(job, "done")
    path = jobs.result(name, ANA)
    assert files(tmp_path) == [path.name]
    assert pq.read_table(path).to_pydict() == magnitudes(25).to_pydict()
    schema = pq.read_schema(path)
    assert schema.field("mag").metadata[b"unit"] == b"mag"
    assert b"pandas" in schema.metadata
    assert (done.size, done.summary()["progress"]) == (path.stat().st_size, 1.0)
    assert done.ended is not None
    assert done.expires - done.ended == pytest.approx(DAY)
    assert access.rows_left(ANA) == 75


def test_a_result_has_no_more_rows_than_are_left_today(tmp_path: Path) -> None:
    jobs, access = desk(tmp_path)
    access.count_rows(ANA.who, 80)
    jobs.order(ANA, "sql", {})
    job = taken(jobs)
    with pytest.raises(RefusedError, match="more than the 20 rows that may still be had today"):
        jobs.write(job, parts_of(magnitudes(21), 10), MEANINGS)
    exact = jobs.write(job, parts_of(magnitudes(20), 10), MEANINGS)
    jobs.finish(exact, "done")
    with pytest.raises(QuotaError):
        access.rows_left(ANA)


def test_a_result_that_takes_too_much_room_or_has_no_columns_is_refused(jobs: Jobs, tmp_path: Path) -> None:
    jobs.order(ANA, "sql", {})
    job = taken(jobs)
    with pytest.raises(RequestError, match="has no columns"):
        jobs.write(job, [], MEANINGS)
    (tmp_path / FOLDER / "other.parquet").write_bytes(b"x" * 2000)
    with pytest.raises(BusyError, match=r"serve\.job_gigabytes"):
        desk(tmp_path, ServeSettings(job_gigabytes=1e-6))[0].write(job, [magnitudes(1)], MEANINGS)
    assert not (tmp_path / FOLDER / f"{job.name}.parquet").exists()


def test_a_failed_job_says_why_and_costs_nothing(tmp_path: Path) -> None:
    jobs, access = desk(tmp_path)
    name = jobs.order(ANA, "sql", {}).name
    failed = jobs.finish(jobs.progress(taken(jobs), 10), "failed", "there is no column magg")
    assert (failed.state, failed.size, failed.message) == ("failed", 0, "there is no column magg")
    with pytest.raises(NotFoundError, match="is failed and has no result: there is no column magg"):
        jobs.result(name, ANA)
    assert access.rows_left(ANA) == 100


def test_a_result_whose_file_is_gone_is_not_there(jobs: Jobs) -> None:
    name = jobs.order(ANA, "sql", {}).name
    jobs.finish(jobs.write(taken(jobs), [magnitudes(1)], MEANINGS), "done")
    jobs.result(name, ANA).unlink()
    with pytest.raises(NotFoundError, match="has no result"):
        jobs.result(name, ANA)


def test_cancelling_takes_the_result_away(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "sql", {}).name
    jobs.finish(jobs.write(taken(jobs), [magnitudes(5)], MEANINGS), "done")
    cancelled = jobs.cancel(name, ANA)
    assert (cancelled.state, cancelled.size) == ("cancelled", 0)
    assert files(tmp_path) == []
    assert jobs.cancel(name, ANA) == cancelled
    with pytest.raises(NotFoundError, match="is cancelled and has no result"):
        jobs.result(name, ANA)


def test_whoever_carries_out_a_job_cannot_undo_its_cancelling(tmp_path: Path) -> None:
    jobs, access = desk(tmp_path)
    name = jobs.order(ANA, "sql", {}).name
    job = jobs.write(taken(jobs), [magnitudes(5)], MEANINGS)
    assert jobs.cancel(name, ROOT).state == "cancelled"
    assert jobs.progress(job, 4).state == "cancelled"
    jobs.begin_again(job, "the server ended")
    written = jobs.write(job, [magnitudes(5)], MEANINGS)
    assert jobs.finish(written, "done").state == "cancelled"
    assert jobs.get(name).state == "cancelled"
    assert files(tmp_path) == []
    assert access.rows_left(ANA) == 100


def test_clearing_takes_everything_of_a_job_and_nothing_else(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "sent.csv").write_bytes(b"ra,dec")
    job = jobs.order(ANA, "xmatch", {}, upload=tmp_path / "sent.csv")
    for name in (f"{job.name}.parquet", f"{job.name}.part", "other.parquet"):
        (tmp_path / FOLDER / name).write_bytes(b"x")
    jobs.clear(job)
    assert files(tmp_path) == ["other.parquet"]
    jobs.clear(job)
    assert files(tmp_path) == ["other.parquet"]


def test_results_expire_and_are_forgotten_a_month_later(jobs: Jobs, tmp_path: Path) -> None:
    name = jobs.order(ANA, "sql", {}, days=1).name
    done = jobs.finish(jobs.write(taken(jobs), [magnitudes(5)], MEANINGS), "done")
    waiting = jobs.order(BEN, "sql", {}, days=1)
    assert jobs.expire(done.expires - 60) == jobs.expire() == []
    assert jobs.expire(done.expires + 60) == [name]
    assert files(tmp_path) == []
    assert jobs.get(name).state == "expired"
    with pytest.raises(NotFoundError, match="is expired and has no result"):
        jobs.result(name, ANA)
    assert jobs.cancel(name, ANA).state == "expired"
    assert jobs.expire(done.expires + 29 * DAY) == []
    assert jobs.get(name).state == "expired"
    assert jobs.expire(done.expires + 31 * DAY) == []
    assert [job.name for job in jobs.listed(ROOT)] == [waiting.name]


def test_it_is_noticed_when_others_write(jobs: Jobs, tmp_path: Path) -> None:
    jobs.order(ANA, "sql", {})
    jobs.changed()
    assert not jobs.changed()
    desk(tmp_path)[0].order(BEN, "sql", {})
    assert jobs.changed()
    assert not jobs.changed()


@pytest.mark.parametrize(("rows", "sizes"), [(0, [0]), (3, [3]), (4, [4]), (9, [4, 4, 1])])
def test_a_table_comes_in_parts_and_an_empty_one_with_its_columns(rows: int, sizes: list[int]) -> None:
    parts = list(parts_of(magnitudes(rows), 4))
    assert [part.num_rows for part in parts] == sizes
    assert pa.concat_tables(parts).equals(magnitudes(rows))
