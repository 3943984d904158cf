"""A batch on a Ray cluster: actors hold the models, take parts of the files, and write each part themselves.

Ray schedules, starts actors that died anew and gives their part to them again. Nothing of a part is kept but its whole
file (`batch_output`), so whatever is killed, no row is lost or there twice. Ray Data would add blocks and autoscaling,
which are of no use here, and three more processes.
"""

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from cluster.batch_output import Output
from cluster.batch_videos import VideoTask, finished_videos, missing_segments, write_segment, write_video
from fer_models.analyzer import Analyzer
from fer_models.batch.checkpoint import model_facts
from fer_models.batch.labels import Labels, with_labels
from fer_models.batch.run import BATCH, analyze_files
from fer_models.batch.table import Row, table_columns, to_frame
from fer_models.batch.videos import analyze_segment, video_parts
from fer_models.errors import BatchError, EngineError, FerError
from fer_models.media.sources import PictureFile, Pictures

#: Files per part, at least and at most: a part is what a killed worker loses.
_PART: Final = (BATCH, 1024)
#: Parts of a batch that is neither small nor large: enough to keep workers busy alike.
_PARTS: Final = 64
#: How often a part is given out again when its worker dies or the storage does not answer.
_RETRIES: Final = 3
#: Until the workers must be there: their processes import PyTorch and load the models.
_START_S: Final = 600
#: Until a cluster must accept a connection, and until it must answer.
_REACH_S: Final = 6.0
#: Of ray:// addresses, where they name none.
_CLIENT_PORT: Final = 10001
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
        labels: of the pictures; empty for none.
        rate: frames per second of videos to analyse; None if there is none.
    """

    load: Callable[[], Analyzer]
    models: Mapping[str, Any]
    output: Output
    batch: int = BATCH
    whole_if_none: bool = False
    labels: Labels = field(default_factory=Labels)
    rate: float | None = None


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
            columns = table_columns(labels, labelled=bool(self._job.labels), videos=self._job.rate is not None)
            self._loaded = analyzer, columns
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
        job.output.write(job.output.part_name(number), to_frame(rows, columns))
        return len(files)

    def analyze_segment(self, task: VideoTask) -> int:
        """Analyse a segment of a video; 1."""
        analyzer, columns = self.load()
        assert self._job.rate is not None
        write_segment(self._job.output, task, analyze_segment(analyzer, task.part, self._job.rate), columns)
        return 1

    def write_video(self, video: int, of: int) -> int:
        """Write the parts of a video, all of whose segments are analysed; 0, as there was nothing to analyse."""
        write_video(self._job.output, video, of, self.load()[1])
        return 0


def run_parts(
    pictures: Pictures,
    job: Job,
    *,
    address: str | None = None,
    workers: int | None = None,
    device: str = "auto",
    found: Callable[[int, int], None] = lambda total, done: None,
) -> Iterator[int]:
    """Write the parts that are missing; after each, how many pictures or segments of videos it has.

    Args:
        pictures: all files of the batch, in the rows' order. They can be pickled.
        job: what each worker does.
        address: of a running cluster, as `ray.init` takes it; None starts one on this machine for this run.
        workers: processes with models, at most; None means one per GPU or, without any, per core.
        device: "cpu", "auto" or "cuda", with which each worker asks for a GPU of its own if there is one.
        found: called once it is known how many segments the videos have that are not finished: with their number, and
            how many of them are analysed already.

    Raises:
        EngineError: Ray is not installed.
        BatchError: the cluster cannot be reached or has no room, a part failed too often, or cannot be written.
    """
    output, missing = job.output, job.output.missing()
    done = finished_videos(output)
    videos = {number: file for number, file in enumerate(pictures.videos) if number not in done}
    ray = load_ray(address)
    if not missing and not videos:
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
        try:
            look = ray.remote(video_parts).options(num_cpus=1, max_retries=_RETRIES, retry_exceptions=[BatchError])
            parts = dict(zip(videos, ray.get([look.remote(file, job.rate) for file in videos.values()]), strict=True))
            segments = missing_segments(output, parts)
            total = sum(map(len, parts.values()))
            found(total, total - len(segments))
            tasks: list[tuple[str, tuple[Any, ...]]] = [
                ("analyze", (number, pictures.files[output.slice(number)])) for number in missing
            ]
            tasks += [("analyze_segment", (segment,)) for segment in segments]
            actors = [kind.remote(job) for _ in range(min(workers or room, room, max(1, len(tasks))))]
            # Before the first part, so that models that cannot be loaded fail once.
            ray.get([actor.ready.remote() for actor in actors], timeout=_START_S)
            pool = ray.util.ActorPool(actors)
            yield from pool.map_unordered(_send, tasks)
            yield from pool.map_unordered(_send, [("write_video", (video, len(parts[video]))) for video in parts])
        except ray.exceptions.GetTimeoutError:
            raise BatchError(f"The cluster had no room for {len(actors)} workers. Try fewer --workers.") from None
        except ray.exceptions.RayError as error:
            raise _as_ours(error) from error


def _send(actor: Any, task: tuple[str, tuple[Any, ...]]) -> Any:
    name, arguments = task
    return getattr(actor, name).options(retry_exceptions=[BatchError]).remote(*arguments)


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


def check_reachable(address: str) -> None:
    """Ray itself tries for minutes, without a word, to reach an address where no cluster is.

    Args:
        address: as `ray.init` takes it; one without a port is left to Ray.

    Raises:
        BatchError: nothing answers there, or something else than Ray, or it is no address.
    """
    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    try:
        place = urlsplit(named if "://" in named else f"//{named}")
        host, port = place.hostname, place.port or (_CLIENT_PORT if place.scheme == "ray" else None)
    except ValueError as error:
        raise BatchError(f"--address {named} is no address of a cluster: {error}. Use HOST:6379.") from None
    if not host or not port:
        return
    try:
        with socket.create_connection((host, port), timeout=_REACH_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_http2(connection):
                raise ConnectionError("what answers there is not Ray")
    except OSError as error:
        raise BatchError(
            f"The cluster at {named} cannot be reached: {error}. Check the address and that it runs (ray status on its "
            "head), or leave out --address to use this machine."
        ) from None


def _speaks_http2(connection: socket.socket) -> bool:
    """Whether a server greets as gRPC's do (RFC 9113, 3.4): with its settings, once it has been greeted with ours."""
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    try:
        return connection.recv(9)[3:4] == b"\4"
    except TimeoutError:
        return False


@contextmanager
def _cluster(ray: Any, address: str | None, workers: int | None) -> Iterator[None]:
    """A connection to a cluster, or one of this machine alone that ends with this process, however that ends."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        try:
            if address:
                check_reachable(address)
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
