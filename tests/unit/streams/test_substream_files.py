"""The files follower: each committed alert once, in both forms, across crashes, upgrades and what users do to the files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import fastavro
import orjson
import pytest

from fink.codecs.schemas import parse_schema
from fink.commits import FollowerPosition
from fink.errors import FollowerError
from fink.streams import substream_files
from fink.streams.substream_files import POSITION, SubstreamFiles
from recorded_commits import EXPECTED, NEW, OLD, filled, packets_of

PACKETS = packets_of("ztf")
Form = Literal["jsonl", "avro"]
FORMS: tuple[Form, ...] = ("jsonl", "avro")


def delivered(folder: Path) -> dict[str, list[int]]:
    """Give the alerts in each substream's files."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.iterdir()):
        substream = path.name.split("_")[0]
        if path.suffix == ".jsonl":
            found.setdefault(substream, []).extend(json.loads(line)["alert_id"] for line in path.read_text().splitlines())
        elif path.suffix == ".avro":
            found.setdefault(substream, []).extend(int(record["kind"].split()[1]) for record in records(path))
    return found


def records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        yield from fastavro.reader(file)


@pytest.mark.parametrize("form", FORMS)
def test_each_alert_is_delivered_once(tmp_path: Path, form: Form) -> None:
    archive = filled()
    follower = SubstreamFiles(archive, tmp_path / "out", form)
    assert follower.deliver() == 4
    assert follower.deliver() == 4
    assert delivered(tmp_path / "out") == EXPECTED
    archive.add({"fast": [20]})
    assert SubstreamFiles(archive, tmp_path / "out", form).deliver() == 5
    assert delivered(tmp_path / "out") == {**EXPECTED, "fast": [*EXPECTED["fast"], 20]}
    assert archive.follower_position(follower.name) == FollowerPosition(5, "sum 5")


def test_avro_holds_the_packet_with_the_columns_behind_it(tmp_path: Path) -> None:
    archive = filled()
    SubstreamFiles(archive, tmp_path, "avro").deliver()
    (path,) = tmp_path.glob("fast_ztf_*.avro")
    original = {"name": "x", **json.loads(PACKETS.schemas[0])}
    parsed = fastavro.parse_schema(original)

    for row, record in zip(EXPECTED["fast"], records(path), strict=True):
        plain = fastavro.schemaless_reader(io.BytesIO(PACKETS.body(row)), parsed, None)
        assert {name: record[name] for name in plain} == plain
        assert record["rate"] == (None if row % 3 == 0 else pytest.approx(row / 7))
        assert (record["fast"], record["kind"]) == (row % 2 == 0, f"kind {row}")


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    archive = filled()
    for form in FORMS:
        SubstreamFiles(archive, tmp_path / form, form).deliver()
    (avro,) = (tmp_path / "avro").glob("slow_*.avro")
    lines = [json.loads(line) for line in (tmp_path / "jsonl" / "slow_ztf.jsonl").read_text().splitlines()]
    for line, record in zip(lines, records(avro), strict=True):
        for name in OLD.columns:
            assert record[name] == (pytest.approx(line[name]) if isinstance(line[name], float) else line[name])


@pytest.mark.parametrize("form", FORMS)
def test_after_an_upgrade_old_commits_keep_their_columns(tmp_path: Path, form: Form) -> None:
    archive = filled()
    archive.add({"fast": [30, 31]}, NEW)
    SubstreamFiles(archive, tmp_path, form).deliver()
    assert sorted(delivered(tmp_path)["fast"]) == [*EXPECTED["fast"], 30, 31]
    if form == "avro":
        with_period = [[("period" in record) for record in records(path)] for path in tmp_path.glob("fast_*.avro")]
        assert sorted(with_period) == [[False] * 5, [True] * 2]
    else:
        lines = [json.loads(line) for line in (tmp_path / "fast_ztf.jsonl").read_text().splitlines()]
        assert [("period" in line) for line in lines] == [False] * 5 + [True] * 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_a_crash_between_output_and_position_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form, at_once: int
) -> None:
    monkeypatch.setattr(substream_files, "COMMITS_AT_ONCE", at_once)
    archive = filled()
    real = SubstreamFiles._save
    for survives in range(4):
        saves = 0

        def crash(self: SubstreamFiles, position: Any, survives: int = survives) -> None:
            nonlocal saves
            saves += 1
            if saves > survives:
                raise KeyboardInterrupt
            real(self, position)

        monkeypatch.setattr(SubstreamFiles, "_save", crash)
        try:
            SubstreamFiles(archive, tmp_path / "out", form).deliver()
        except KeyboardInterrupt:
            continue
    monkeypatch.setattr(SubstreamFiles, "_save", real)
    assert SubstreamFiles(archive, tmp_path / "out", form).deliver() == 4
    assert delivered(tmp_path / "out") == EXPECTED


@pytest.mark.parametrize("form", FORMS)
def test_a_failed_delivery_can_be_tried_again_by_the_same_follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form) -> None:
    archive = filled()
    follower = SubstreamFiles(archive, tmp_path / "out", form)

    def full(self: SubstreamFiles, position: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SubstreamFiles, "_save", full)
        with pytest.raises(FollowerError, match="No space left"):
            follower.deliver()
    assert follower.deliver() == 4
    assert delivered(tmp_path / "out") == EXPECTED


@pytest.mark.parametrize("form", FORMS)
def test_a_file_taken_by_its_user_begins_anew(tmp_path: Path, form: Form) -> None:
    archive = filled()
    SubstreamFiles(archive, tmp_path, form).deliver()
    for path in tmp_path.glob("fast_*"):
        path.unlink()
    archive.add({"fast": [40]})
    SubstreamFiles(archive, tmp_path, form).deliver()
    assert delivered(tmp_path) == {"fast": [40], "slow": EXPECTED["slow"]}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_shorter_than_delivered_is_an_error(tmp_path: Path, form: Form) -> None:
    archive = filled()
    SubstreamFiles(archive, tmp_path, form).deliver()
    (path,) = tmp_path.glob("fast_*")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FollowerError, match="were delivered"):
        SubstreamFiles(archive, tmp_path, form)


def changed(folder: Path, **values: object) -> None:
    path = folder / POSITION
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"commit": 9}, "ahead of the archive's 4"),
        ({"checksum": "another"}, "another commit 4"),
        ({"archive": "another"}, "another archive"),
        ({"form": "avro"}, "holds substreams as avro"),
        ({"unknown": 1}, "damaged"),
    ],
)
def test_a_position_that_does_not_fit_is_an_error(tmp_path: Path, values: dict[str, object], message: str) -> None:
    archive = filled()
    SubstreamFiles(archive, tmp_path).deliver()
    changed(tmp_path, **values)
    with pytest.raises(FollowerError, match=message):
        SubstreamFiles(archive, tmp_path)


def test_a_lost_position_is_an_error_once_something_was_delivered(tmp_path: Path) -> None:
    archive = filled()
    SubstreamFiles(archive, tmp_path).deliver()
    (tmp_path / POSITION).unlink()
    with pytest.raises(FollowerError, match="commits up to 4 were delivered"):
        SubstreamFiles(archive, tmp_path)


def test_a_folder_with_files_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FollowerError, match="no follower wrote"):
        SubstreamFiles(filled(), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_the_schema_of_a_file_is_the_packets_own_with_the_columns(tmp_path: Path) -> None:
    SubstreamFiles(filled(), tmp_path, "avro").deliver()
    (path,) = tmp_path.glob("fast_*")
    with path.open("rb") as file:
        schema = fastavro.reader(file).writer_schema
    assert schema is not None
    names = [field["name"] for field in schema["fields"]]
    assert names == [*(field["name"] for field in parse_schema(PACKETS.schemas[0]).fields()), *OLD.columns]


def test_what_was_not_delivered_is_cut_off(tmp_path: Path) -> None:
    archive = filled()
    SubstreamFiles(archive, tmp_path).deliver()
    path = tmp_path / "fast_ztf.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"half": ')
    SubstreamFiles(archive, tmp_path)
    assert path.read_bytes() == whole
