"""Training in two processes is training in one: the same losses, and checkpoints that go on in either."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fer_models.errors import FerError
from fer_models.training.processes import BatchNormOverProcesses, share_batch_norms
from tests.helpers.training_runs import RECIPES, STEPS, STOP, Recorder, faces, run

ROOT = Path(__file__).resolve().parents[2]
#: Of a loss: sums over two halves of a batch round otherwise than over the whole, and fifty steps pass that on.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two processes, and for each recipe one process's run that was stopped and that they continued."""
    folder = tmp_path_factory.mktemp("processes")
    for name in RECIPES:
        stopped = run(name, folder / name / "one", stop=STOP)
        assert len(stopped.losses) == STOP and (stopped.epoch, stopped.batch_index) == (4, 2)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.helpers.training_runs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_have_the_loss_curve_of_one(folder: Path, tmp_path: Path, name: str) -> None:
    one = run(name, tmp_path)
    two = json.loads((folder / name / "losses.json").read_text())
    assert len(one.losses) == STEPS and max(one.losses) - min(one.losses) > 0.2  # they learn, and steps differ
    assert two["whole"] == pytest.approx(one.losses, rel=TOLERANCE)

    # Stopped in two processes, by Ctrl-C in the second alone: both end after the same step, and one process goes on.
    assert two["stopped"] == two["whole"][:STOP]
    rest = run(name, folder / name / "stopped", resume=True)
    assert rest.losses == pytest.approx(one.losses[STOP:], rel=TOLERANCE)

    # Stopped in one process, continued in two; and what comes out is the same network, logged alike.
    assert two["resumed"] == pytest.approx(one.losses[STOP:], rel=TOLERANCE)
    weights = torch.load(folder / name / "resumed.pt", weights_only=True)
    for key, value in one.average.state_dict().items():
        torch.testing.assert_close(weights[key], value, rtol=1e-3, atol=1e-4)
    logged = [[line.split(",")[3] for line in path.read_text().splitlines()[1:]] for path in logs(folder / name)]
    for losses in logged:
        assert list(map(float, losses)) == pytest.approx([row["loss"] for row in one.history], rel=TOLERANCE)


def logs(folder: Path) -> list[Path]:
    return [folder / run / "log.csv" for run in ("whole0", "stopped", "one")]


@pytest.mark.parametrize("name", RECIPES)
def test_the_first_process_alone_writes(folder: Path, name: str) -> None:
    assert {path.name for path in (folder / name / "whole0").iterdir()} == {"checkpoint.pt", "log.csv"}
    assert not list((folder / name / "whole1").iterdir())


def test_a_batch_must_have_a_face_for_each_process(tmp_path: Path) -> None:
    trainer = Recorder("eac", tmp_path)
    trainer.processes = 16
    with pytest.raises(FerError, match="15 faces is too small for 16 processes"):
        trainer.fit(faces(75, 1), faces(14, 2))


def test_shared_batch_norms_keep_names_values_and_evaluation() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    inputs = torch.randn(8, 3, 6, 6)
    network(inputs)
    expected, state = network.eval()(inputs), {key: value.clone() for key, value in network.state_dict().items()}
    share_batch_norms(network)
    assert isinstance(network[1], BatchNormOverProcesses)
    assert torch.equal(network(inputs), expected)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
