"""Latencies of real ONNX graphs as jobs: what is fed, measured, kept and compared, and every way it can fail."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy
import pytest

from edgetui.core.bench import BenchSettings
from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import OnnxRunSettings, compare
from edgetui.core.repeat_session import latency_commands
from edgetui.engines.onnx_runtime import latency
from edgetui.formats.text_file import read_text
from edgetui.worker.job_events import JobFailed, JobSucceeded
from tests.onnx_files import BOOL, FLOAT, INT64, data, matmul, model, node, number, tensor, value, write_onnx

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.core.onnx_latency import OnnxLatencyRow
    from edgetui.services.lab import Lab

FEW = OnnxRunSettings(runs=4, warm_up=1, threads=1)


def classifier(rows: int = 7) -> bytes:
    """Ids look up rows of a table, a mask is multiplied in, and sums over a product come out."""
    table = numpy.ones((rows, 4), dtype=numpy.float32).tobytes()
    weights = numpy.ones((4, 3), dtype=numpy.float32).tobytes()
    return model(
        [
            node("Gather", ["table", "input_ids"], ["found"]),
            node("Mul", ["found", "attention_mask"], ["masked"]),
            node("MatMul", ["masked", "weights"], ["logits"]),
        ],
        [tensor("table", FLOAT, [rows, 4], table), tensor("weights", FLOAT, [4, 3], weights)],
        [
            value("input_ids", INT64, ["batch", "sequence"]),
            value("attention_mask", FLOAT, ["batch", "sequence", 1]),
        ],
        [value("logits", FLOAT, ["batch", "sequence", 3])],
    )


async def entry_of(lab: Lab, name: str, content: bytes) -> ModelEntry:
    folder = lab.paths.models_dir / name
    folder.mkdir(parents=True)
    return await lab.catalog.find(str(write_onnx(folder / f"{name}.onnx", content)))


async def measured(lab: Lab, entry: ModelEntry, settings: OnnxRunSettings = FEW) -> OnnxLatencyRow:
    record = await lab.onnx_sessions.start(entry, settings)
    last = await lab.onnx_sessions.follow(record.job_id)
    log = "\n".join(await lab.jobs.log_tail(record.job_id))
    assert isinstance(last, JobSucceeded), f"{last}\n{log}"
    found = [each for each in await lab.onnx_sessions.history() if each.job_id == record.job_id]
    assert len(found) == 1
    return found[0].row


async def test_nothing_is_measured_beside_another_job(lab: Lab, demo_entry: ModelEntry) -> None:
    entry = await entry_of(lab, "classifier", classifier())
    job = await lab.bench.start(demo_entry, BenchSettings(generated_tokens=4000, threads=1))
    with pytest.raises(EdgetuiError, match="spoil the figures"):
        await lab.onnx_sessions.start(entry, FEW)
    await lab.jobs.cancel(job.job_id)


async def failure(lab: Lab, entry: ModelEntry, settings: OnnxRunSettings) -> Any:
    """Of a job that must fail."""
    record = await lab.onnx_sessions.start(entry, settings)
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        last = [event async for event in events][-1]
    assert isinstance(last, JobFailed), last
    assert await lab.onnx_sessions.history() == []
    return last.failure


def traces(lab: Lab) -> list[str]:
    """Everything in the folder of traces, hidden names too."""
    return [str(path) for path in lab.paths.traces_dir.iterdir()]


async def test_a_graph_is_fed_what_it_understands_and_measured(lab: Lab) -> None:
    entry = await entry_of(lab, "classifier", classifier())
    faces = await lab.onnx_sessions.faces(entry)
    assert [(each.name, each.type_name, each.shape) for each in faces.inputs] == [
        ("input_ids", "int64", ("batch", "sequence")),
        ("attention_mask", "float32", ("batch", "sequence", 1)),
    ]
    row = await measured(lab, entry)
    assert [(each.name, each.shape, each.content) for each in row.inputs] == [
        ("input_ids", (1, 128), "ids below 7"),
        ("attention_mask", (1, 128, 1), "ones"),
    ]
    assert [(each.name, each.shape) for each in row.outputs] == [("logits", (1, 128, 3))]
    assert len(row.samples_ns) == 4 and min(row.samples_ns) > 0 and row.first_run_ns and row.load_s > 0
    assert row.percentile_ms(0) <= row.percentile_ms(0.5) <= row.percentile_ms(0.99) <= row.percentile_ms(1)
    assert row.runs_per_s == pytest.approx(4e9 / sum(row.samples_ns))
    assert (row.provider, row.threads, row.remarks, row.profile) == ("CPU", 1, (), None)
    assert row.model_fingerprint == entry.fingerprint and row.machine.physical_cores
    sized = await measured(
        lab, entry, OnnxRunSettings(runs=1, warm_up=0, sizes="batch=2, input_ids=2x5, attention_mask=2x5x1")
    )
    assert [each.shape for each in sized.inputs] == [(2, 5), (2, 5, 1)] and sized.first_run_ns is None
    found = compare(row, sized)
    assert found.ratio is None and any(each.startswith("inputs ") for each in found.differences)
    assert compare(row, row).differences == ()
    first, *_ = await lab.onnx_sessions.history()
    assert await lab.onnx_sessions.remove([first.record_id]) == 1 and len(await lab.onnx_sessions.history()) == 1


async def test_the_program_that_repeats_a_row_feeds_the_same_and_runs(lab: Lab, tmp_path: Path) -> None:
    import numpy

    entry = await entry_of(lab, "classifier", classifier())
    settings = msgspec.structs.replace(FEW, seed=7, sizes="batch=2, sequence=5")
    stored = tmp_path / "stored.npz"
    numpy.savez(stored, input_ids=numpy.ones((1, 3), "int64"), attention_mask=numpy.ones((1, 3, 1), "float32"))
    for each in (settings, msgspec.structs.replace(FEW, file=str(stored))):
        row = await measured(lab, entry, each)
        _, command = latency_commands(row)
        space: dict[str, Any] = {}
        exec(compile(command.text, "repeat.py", "exec"), space)
        model = latency.read(entry.path)
        arrays, fed = latency.feeds(entry.path, model, space["session"], each)
        assert fed == row.inputs and space["feeds"].keys() == arrays.keys()
        for name, array in arrays.items():
            assert space["feeds"][name].dtype == array.dtype and numpy.array_equal(space["feeds"][name], array)
        assert len(space["times"]) == len(row.samples_ns)


async def test_a_profile_adds_up_and_its_trace_goes_with_its_row(lab: Lab) -> None:
    entry = await entry_of(lab, "classifier", classifier())
    settings = OnnxRunSettings(runs=3, warm_up=0, threads=1, profile=True, opt_level="disabled", mode="parallel")
    row = await measured(lab, entry, settings)
    profile = row.profile
    assert profile is not None and profile.runs == 3
    assert {each.name: each.count for each in profile.by_type} == {"Gather": 3, "Mul": 3, "MatMul": 3}
    assert sum(each.total_us for each in profile.by_node) == profile.total_us
    assert {each.kind for each in profile.by_node} == {"Gather", "Mul", "MatMul"}
    assert [(each.name, each.count) for each in profile.by_provider] == [("CPU", 9)]
    assert traces(lab) == [profile.trace]
    assert any(event.get("name") == "model_run" for event in json.loads(read_text(Path(profile.trace))))
    (record,) = await lab.onnx_sessions.history()
    await lab.onnx_sessions.remove([record.record_id])
    assert traces(lab) == []


async def test_inputs_come_from_a_file(lab: Lab, tmp_path: Path) -> None:
    entry = await entry_of(lab, "product", matmul())
    numpy.save(tmp_path / "x.npy", numpy.ones((6, 4)))
    row = await measured(lab, entry, OnnxRunSettings(runs=2, file=str(tmp_path / "x.npy")))
    assert [(each.shape, each.type_name, each.content) for each in row.inputs] == [((6, 4), "float32", "x.npy")]
    numpy.savez(tmp_path / "x.npz", x=numpy.ones((2, 4), dtype=numpy.float32), more=numpy.ones(1))
    row = await measured(lab, entry, OnnxRunSettings(runs=2, file=str(tmp_path / "x.npz")))
    assert row.outputs[0].shape == (2, 3)


def loop() -> bytes:
    """`y = x + 1`, as often as `n` says."""
    body = data(1, node("Identity", ["go"], ["on"])) + data(1, node("Add", ["x_in", "one"], ["x_out"]))
    body += data(2, "body") + b"".join(
        data(11, each) for each in (value("i", INT64, []), value("go", BOOL, []), value("x_in", FLOAT, []))
    )
    body += b"".join(data(12, each) for each in (value("on", BOOL, []), value("x_out", FLOAT, [])))
    return model(
        [node("Loop", ["n", "start", "x"], ["y"], body=data(6, body) + number(20, 5))],
        [tensor("one", FLOAT, [], numpy.ones(1, dtype=numpy.float32).tobytes())],
        [value("n", INT64, []), value("start", BOOL, []), value("x", FLOAT, [])],
        [value("y", FLOAT, [])],
    )


async def test_the_time_within_a_loop_is_not_counted_twice(lab: Lab, tmp_path: Path) -> None:
    entry = await entry_of(lab, "loop", loop())
    numpy.savez(tmp_path / "x.npz", n=numpy.array(500), start=numpy.array(True), x=numpy.array(0, dtype=numpy.float32))
    settings = OnnxRunSettings(runs=2, threads=1, profile=True, opt_level="disabled", file=str(tmp_path / "x.npz"))
    profile = (await measured(lab, entry, settings)).profile
    assert profile is not None and not profile.is_cut
    assert {each.name: each.count for each in profile.by_type} == {"Loop": 2, "Add": 1000, "Identity": 1000}
    events = json.loads(read_text(Path(profile.trace)))
    assert profile.total_us <= sum(event["dur"] for event in events if event["name"] == "model_run")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (numpy.ones((6, 5), dtype=numpy.float32), "x in bad.npy is 6 x 5, and the graph takes batch x 4"),
        (numpy.ones(4, dtype=numpy.float32), "x in bad.npy is 4, and the graph takes"),
        (numpy.full((1, 4), numpy.nan, dtype=numpy.float32), "holds NaN"),
        (numpy.ones((1, 4), dtype=numpy.complex64), "is complex64, and the graph takes float32"),
    ],
)
async def test_an_array_that_does_not_fit_is_one_sentence(
    lab: Lab, tmp_path: Path, array: numpy.ndarray, sentence: str
) -> None:
    entry = await entry_of(lab, "product", matmul())
    numpy.save(tmp_path / "bad.npy", array)
    found = await failure(lab, entry, OnnxRunSettings(runs=1, file=str(tmp_path / "bad.npy")))
    assert found.kind == "bad_request" and sentence in found.message


async def test_a_file_that_is_no_array_or_lacks_one_is_one_sentence(lab: Lab, tmp_path: Path) -> None:
    entry = await entry_of(lab, "product", matmul())
    (tmp_path / "text.npz").write_text("no zip at all")
    found = await failure(lab, entry, OnnxRunSettings(runs=1, file=str(tmp_path / "text.npz")))
    assert found.kind == "bad_file" and "text.npz is no .npz" in found.message
    numpy.savez(tmp_path / "other.npz", y=numpy.ones(3))
    found = await failure(lab, entry, OnnxRunSettings(runs=1, file=str(tmp_path / "other.npz")))
    assert found.kind == "bad_request" and "holds y, and the graph wants x" in found.message


async def test_outputs_that_are_no_numbers_are_told(lab: Lab) -> None:
    bad = numpy.full((4, 3), numpy.nan, dtype=numpy.float32).tobytes()
    row = await measured(lab, await entry_of(lab, "nan", matmul(tensor("w", FLOAT, [4, 3], bad))))
    assert len(row.remarks) == 1 and "output y holds NaN" in row.remarks[0]


async def test_a_provider_that_is_not_there_names_those_that_are(lab: Lab) -> None:
    entry = await entry_of(lab, "product", matmul())
    found = await failure(lab, entry, OnnxRunSettings(runs=1, provider="tensorrt"))
    assert found.kind == "engine_missing" and "tensorrt is not in the installed ONNX Runtime, which has CPU" in (
        found.message
    )
    assert "CPU" in await lab.onnx_sessions.providers()
    assert (await measured(lab, entry, OnnxRunSettings(runs=1, provider="cpu"))).provider == "CPU"


async def test_what_cannot_be_measured_is_refused_before_a_job(lab: Lab, demo_entry: ModelEntry) -> None:
    entry = await entry_of(lab, "classifier", classifier())

    async def refused(settings: OnnxRunSettings, which: ModelEntry = entry) -> EdgetuiError:
        with pytest.raises(EdgetuiError) as caught:
            await lab.onnx_sessions.start(which, settings)
        return caught.value

    assert "no input and no free dimension" in str(await refused(OnnxRunSettings(sizes="tokens=3")))
    assert "does not fit" in str(await refused(OnnxRunSettings(sizes="input_ids=1x2x3")))
    assert "is no size" in str(await refused(OnnxRunSettings(sizes="batch")))
    assert "is not there" in str(await refused(OnnxRunSettings(file="/gone.npz")))
    assert (await refused(FEW, demo_entry)).failure.kind == "unsupported"
    outside = tensor("w", FLOAT, [4, 3], external={"location": "w.data", "length": "48"})
    lacking = await entry_of(lab, "lacking", matmul(outside))
    error = await refused(FEW, lacking)
    assert error.failure.kind == "bad_file" and "w.data" in str(error)
    assert await lab.jobs.list() == ()


async def test_a_graph_that_does_not_run_is_one_sentence(lab: Lab) -> None:
    strange = model([node("Imaginary", ["x"], ["y"])], [], [value("x", FLOAT, [1, 4])], [value("y", FLOAT, [1, 4])])
    found = await failure(lab, await entry_of(lab, "strange", strange), FEW)
    assert found.kind == "unsupported" and "strange.onnx" in found.message and "\n" not in found.message


async def test_the_toolchain_measures_where_edgetui_has_no_onnx_runtime(
    toolchain_lab: Lab, onnx_toolchain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.services.onnx_sessions.find_spec", lambda name: None)
    entry = await entry_of(toolchain_lab, "classifier", classifier())
    assert "CPU" in await toolchain_lab.onnx_sessions.providers()
    row = await measured(toolchain_lab, entry, OnnxRunSettings(runs=2, threads=1, profile=True))
    assert row.environment == "onnx" and len(row.samples_ns) == 2 and row.profile is not None


async def test_without_any_onnx_runtime_it_says_how_to_get_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetui.services.onnx_sessions.find_spec", lambda name: None)
    entry = await entry_of(lab, "product", matmul())
    for asked in (lab.onnx_sessions.start(entry, FEW), lab.onnx_sessions.providers()):
        with pytest.raises(EdgetuiError, match="edgetui toolchain install onnx"):
            await asked
