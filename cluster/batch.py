"""A batch on a Ray cluster: actors hold the models, take numbered parts of the files, and write each part themselves.

Ray schedules, starts actors that died anew and gives their part to them again. Nothing of a part is kept but its whole
file (`batch_output`), so whatever is killed, no row is lost or there twice. Ray Data would add blocks and autoscaling,
which are of no use here, and three more processes.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from cluster.batch_output import Output
from fer_models.analyzer import Analyzer
from fer_models.batch.checkpoint import model_facts
from fer_models.batch.labels import Labels, with_labels
from fer_models.batch.run import BATCH, analyze_files
from fer_models.batch.table import Row, table_columns, to_frame
from fer_models.errors import BatchError, EngineError, FerError
from fer_models.media.sources import PictureFile

#: Files per part, at least and at most: a part is what a killed worker loses.
_PART: Final = (BATCH, 1024)
#: Parts of a batch that is neither small nor large: enough to keep workers busy alike.
_PARTS: Final = 64
#: How often a part is given out again when its worker dies or the storage does not answer.
_RETRIES: Final = 3
#: Until the workers must be there: their processes import PyTorch and load the models.
_START_S: Final = 600
#: Bytes that Ray may keep in shared memory: rows go from the workers to the disk, only names go between processes.
_OBJECT_STORE: Final = 256 * 2**20


@dataclass(frozen=True)
class Job:
    """What every worker does; it is pickled.

    Attributes:
        load: loads the models; the node's, which must be the driver's.
        models: `model_facts` of the driver's.
        output: where parts go.
        batch: faces per batch of the models.
        whole_if_none: as for `analyze_files`.
        labels: of the files; empty for none.
    """

    load: Callable[[], Analyzer]
    models: Mapping[str, Any]
    output: Output
    batch: int = BATCH
    whole_if_none: bool = False
    labels: Labels = field(default_factory=Labels)


def part_size(files: int, batch: int) -> int:
    """Files per part: whole batches, a few parts per worker, and never more than a worker may lose."""
    return max(batch, min(files // _PARTS, _PART[1]) // batch * batch)


class Worker:
    """Holds the models in a process of its own, and turns parts of the files into parts of the output."""

    def __init__(self, job: Job) -> None:
        """Load nothing yet: what is wrong with the models is an error of `load` and not a process that dies."""
        self._job = job
        self._loaded: tuple[Analyzer, dict[str, str]] | None = None

    def load(self) -> tuple[Analyzer, dict[str, str]]:
        """The models, and the columns of the rows.

        Raises:
            FerError: they cannot be loaded here, or are others than the driver's.
        """
        if self._loaded is None:
            analyzer = self._job.load()
            if model_facts(analyzer) != self._job.models:
                raise EngineError("A node of the cluster has other models than this machine. Install the same on all.")
            labels = {name: model.card.labels for name, model in analyzer.classifiers.items()}
            self._loaded = analyzer, table_columns(labels, labelled=bool(self._job.labels))
        return self._loaded

    def ready(self) -> None:
        """Load the models."""
        self.load()

    def analyze(self, number: int, files: Sequence[PictureFile]) -> int:
        """Write a part: the rows of its files, of which there are so many."""
        job, (analyzer, columns) = self._job, self.load()
        rows: list[Row] = []
        for result in analyze_files(analyzer, files, batch=job.batch, whole_if_none=job.whole_if_none, workers=1):
            rows += result.rows
        if job.labels:
            rows = with_labels(rows, job.labels)
        job.output.write(number, to_frame(rows, columns))
        return len(files)


def run_parts(
    files: Sequence[PictureFile],
    job: Job,
    *,
    address: str | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> Iterator[int]:
    """Write the parts that are missing; after each, how many files it has.

    Args:
        files: all of the batch, in the rows' order. They can be pickled.
        job: what each worker does.
        address: of a running cluster, as `ray.init` takes it; None starts one on this machine for this run.
        workers: processes with models, at most; None means one per GPU or, without any, per core.
        device: "cpu", "auto" or "cuda", with which each worker asks for a GPU of its own if there is one.

    Raises:
        EngineError: Ray is not installed.
        BatchError: the cluster cannot be reached or has no room, a part failed too often, or cannot be written.
    """
    missing = job.output.missing()
    ray = load_ray(address)
    if not missing:
        return
    with _cluster(ray, address, workers):
        resources = ray.cluster_resources()
        gpus = resources.get("GPU", 0) if device != "cpu" else 0
        if device.startswith("cuda") and not gpus:
            raise BatchError("The cluster has no GPU. Leave out --device, or name a cluster that has one.")
        room = max(1, int(gpus or resources.get("CPU", 1)))
        kind = ray.remote(Worker).options(
            num_cpus=1, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=_RETRIES
        )
        actors = [kind.remote(job) for _ in range(min(workers or room, room, len(missing)))]
        try:
            # Before the first part, so that models that cannot be loaded fail once.
            ray.get([actor.ready.remote() for actor in actors], timeout=_START_S)
            yield from ray.util.ActorPool(actors).map_unordered(
                lambda actor, number: actor.analyze.options(retry_exceptions=[BatchError]).remote(
                    number, files[job.output.slice(number)]
                ),
                missing,
            )
        except ray.exceptions.GetTimeoutError:
            raise BatchError(f"The cluster had no room for {len(actors)} workers. Try fewer --workers.") from None
        except ray.exceptions.RayError as error:
            raise _as_ours(error) from error


def load_ray(address: str | None = None) -> Any:
    """Ray, which is an extra.

    Args:
        address: of the cluster that it will be used with; None for one on this machine.

    Raises:
        EngineError: it is not installed.
    """
    # It reads them when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:  # 127.0.0.1 stays that, and is not replaced by the address of a network
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
        import ray.util
    except ImportError:
        raise EngineError("The engine ray needs a package: pip install -r requirements-ray.txt") from None
    return ray


@contextmanager
def _cluster(ray: Any, address: str | None, workers: int | None) -> Iterator[None]:
    """A connection to a cluster, or one of this machine alone that ends with this process, however that ends."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        try:
            if address:
                ray.init(address, **quiet)
            else:
                ray.init(
                    "local",
                    num_cpus=max(workers or 1, os.cpu_count() or 1),
                    object_store_memory=_OBJECT_STORE,
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                    **quiet,
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = f"The cluster at {address} cannot be reached" if address else "Ray cannot be started"
            raise BatchError(f"{where}: {str(error).splitlines()[0]}") from error
        try:
            yield
        finally:
            ray.shutdown()


def _as_ours(error: BaseException) -> FerError:
    """What a worker raised, or that workers died."""
    causes: list[BaseException | None] = [error]
    while causes:
        cause = causes.pop(0)
        if isinstance(cause, FerError) and not hasattr(cause, "cause"):  # Ray's copy of it tells the whole traceback
            return cause
        if cause is not None:
            causes += [getattr(cause, "cause", None), cause.__cause__]
    return BatchError(
        f"A part of the batch failed {_RETRIES + 1} times: {str(error).strip().splitlines()[-1]} What is done so far "
        "is kept; the same command continues."
    )
