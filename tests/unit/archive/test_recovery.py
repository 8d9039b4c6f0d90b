"""Recovery: a process that ends between any two steps, a disk that is full, a tail that was never synced, damage that is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fink.archive.embedded import EmbeddedArchive
from fink.commits import Quarantined
from fink.errors import ArchiveError
from unit.archive.outcomes import NIGHTS, Sample, SmallSky, create, outcome, reopen

BAD = Quarantined("f.tar", "entry 3", "no such schema", b"\x01\x02", "ztf", NIGHTS[0])
TESTS = Path(__file__).resolve().parents[2]


def state(archive: EmbeddedArchive) -> dict[str, object]:
    """Give everything that two equal archives agree on."""
    files = {name: (record.length, record.rows, record.state) for name, record in archive.files().items()}
    commits = [commit.to_bytes() for commit in archive.commits()]
    told = {"ledger": archive.ledger(), "positions": archive.position(b""), "problems": archive.verify()}
    return {"files": files, "commits": commits, **told}


def apply_all(archive: EmbeddedArchive, first: int = 0) -> None:
    sky = SmallSky(15)
    for i, night in enumerate(NIGHTS):
        if i >= first:
            archive.apply(outcome(sky.night(night), quarantined=(BAD,), progress={b"at": b"%d" % i}))


def crash(folder: Path, step: str, at: int) -> None:
    """Run `apply_all` in a process that ends, as if killed, at the ``at``-th time that it comes to a step; 0: never."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from unit.archive.test_recovery import apply_all, reopen\n"
        "seen = 0\n"
        "def step(name):\n"
        "    global seen\n"
        f"    seen += name == {step!r}\n"
        f"    if name == {step!r} and seen == {at}:\n"
        "        os._exit(9)\n"
        f"apply_all(reopen(Path({str(folder)!r}), step=step), {0})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=TESTS, env={**os.environ, "PYTHONPATH": str(TESTS)}, check=False)
    assert ended.returncode == 9


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with create(tmp_path_factory.mktemp("undisturbed") / "a") as archive:
        apply_all(archive)
        return state(archive)


@pytest.mark.parametrize(("step", "committed"), [("appended", 2), ("synced", 2), ("written", 3)])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, undisturbed: dict[str, object], step: str, committed: int) -> None:
    create(tmp_path / "a").close()
    crash(tmp_path / "a", step, 3)
    with reopen(tmp_path / "a") as archive:
        assert archive.last_commit() == committed
        assert archive.position(b"at") == {b"at": b"%d" % (committed - 1)}
        assert archive.verify() == []
        apply_all(archive, committed)
        assert state(archive) == undisturbed
    on_disk = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a" / "segments").iterdir()}
    assert on_disk == set(undisturbed["files"])  # type: ignore[call-overload]


def test_bytes_that_were_never_committed_are_cut_away(tmp_path: Path, undisturbed: dict[str, object]) -> None:
    with create(tmp_path / "a") as archive:
        apply_all(archive)
        files = archive.files()
    rng = np.random.default_rng(1)
    for name, record in files.items():
        if record.state == "open":
            with (tmp_path / "a" / name).open("ab") as file:
                file.write(rng.bytes(1000))
    (tmp_path / "a" / "segments" / "rows-ztf-20300101-000000099.arrow").write_bytes(b"half a block")
    with reopen(tmp_path / "a") as archive:
        assert state(archive) == undisturbed
    assert all((tmp_path / "a" / name).stat().st_size == record.length for name, record in files.items())


def test_a_step_that_fails_leaves_the_last_commit(tmp_path: Path, undisturbed: dict[str, object]) -> None:
    failing = ""

    def step(name: str) -> None:
        if name == failing:
            raise OSError(28, "No space left on device")

    create(tmp_path / "a").close()
    with reopen(tmp_path / "a", step=step) as archive:
        apply_all_but_last = list(NIGHTS[:-1])
        sky = SmallSky(15)
        for i, night in enumerate(apply_all_but_last):
            work = outcome(sky.night(night), quarantined=(BAD,), progress={b"at": b"%d" % i})
            for point in ("appended", "synced"):
                failing = point
                with pytest.raises(ArchiveError, match=r"No space left on device.*free some space"):
                    archive.apply(work)
                assert archive.last_commit() == i
            failing = ""
            archive.apply(work)
        apply_all(archive, len(NIGHTS) - 1)
        assert state(archive) == undisturbed


def test_a_full_disk_leaves_the_last_commit(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        archive = create(folder / "a")
        sky = SmallSky(1000, exposures=20)
        night = sky.night(NIGHTS[0])
        parts = [night.take(rows) for rows in np.array_split(np.arange(len(night.batch)), 20)]
        with pytest.raises(ArchiveError, match="free some space"):
            apply_parts(archive, parts)
        last, held = archive.last_commit(), archive.ledger()
        assert last >= 1
        assert archive.verify() == []
        archive.close()
        subprocess.run(["mount", "-o", "remount,size=256m", str(folder)], check=True)
        with reopen(folder / "a") as archive:
            # the log may have taken the commit that was refused: then it is there whole
            assert archive.last_commit() in (last, last + 1)
            assert archive.last_commit() > last or archive.ledger() == held
            assert archive.verify() == []
            apply_parts(archive, parts)
            assert archive.ledger()["archived"] == len(night.batch)
            assert archive.verify() == []
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def apply_parts(archive: EmbeddedArchive, parts: list[Sample]) -> None:
    for part in parts:
        archive.apply(outcome(part))


@pytest.mark.parametrize("kind", ["rows", "points", "packets", "selected", "quarantine"])
def test_damage_is_found(tmp_path: Path, kind: str) -> None:
    with create(tmp_path / "a") as archive:
        apply_all(archive)
        name, record = next((name, record) for name, record in archive.files().items() if record.kind == kind)
    data = bytearray((tmp_path / "a" / name).read_bytes())
    data[record.length // 2] ^= 4
    (tmp_path / "a" / name).write_bytes(data)
    with reopen(tmp_path / "a") as archive:
        assert any(name in problem for problem in archive.verify())


@pytest.mark.parametrize("family", ["alerts", "rows", "objects", "names", "sky", "substreams", "selections", "commits", "ledger", "chunks"])
def test_what_the_index_lost_is_found(tmp_path: Path, family: str) -> None:
    with create(tmp_path / "a") as archive:
        for night in NIGHTS[:2]:
            archive.apply(outcome(SmallSky(4, "lsst", exposures=80).night(night)))
        store = archive._store
        key, _ = next(iter(store.scan(family, b"")))
        changes = store.changes()
        changes.delete(family, key)
        store.write(changes)
        assert archive.verify() != []
