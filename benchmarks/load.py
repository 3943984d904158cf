"""Load an app: N clients on /compare for some minutes or requests; errors, latencies and the server's memory as JSON.

    python -m benchmarks.load --clients 32 --minutes 5 --live 2 --json weights/results/load.json
    python -m benchmarks.load --clients 1 --requests 10000 --models eac_mobilenet_v2

Starts the app itself, or loads one at a URL. That one needs --rate-limit 0, or the clients, which share one address,
are told to wait.
"""

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.running import app, processor_s, resident_mb
from fer_models import __version__
from fer_models.analyzer import list_models
from fer_models.evaluation.records.benchmarks import LoadRecord
from fer_models.evaluation.store import write_record

_PICTURE: Final = Path(__file__).resolve().parents[1] / "examples" / "astronaut.jpg"
#: Seconds of the same load before anything is measured: until then caches and the allocator's pools fill.
_WARM_UP: Final = 60.0


class Load:
    """What the clients met, joined from their threads."""

    def __init__(self, most: int | None = None) -> None:
        """Nothing yet; `most` requests may be made, None: any number."""
        self.lock = threading.Lock()
        self.taken = self.done = 0
        self.most = most
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    def take(self) -> bool:
        """Whether one more request may be made; it then counts as taken."""
        with self.lock:
            if self.most is not None and self.taken >= self.most:
                return False
            self.taken += 1
            return True

    def add(self, outcome: str, seconds: float) -> None:
        """Note one request."""
        with self.lock:
            self.done += 1
            self.outcomes[outcome] += 1
            if outcome == "ok":
                self.seconds.append(seconds)


def ask(client: httpx.Client, url: str, picture: bytes) -> str:
    """Upload a picture and compare it.

    Returns:
        "ok", "queue full", or what went wrong.
    """
    try:
        uploaded = client.post(f"{url}/gradio_api/upload", files={"files": ("load.jpg", picture)})
        if uploaded.status_code != 200:
            return f"upload {uploaded.status_code}"
        data = {"data": [{"path": uploaded.json()[0]}]}
        joined = client.post(f"{url}/gradio_api/call/compare", json=data)
        if joined.status_code != 200:
            full = joined.status_code == 503 and "full" in joined.text
            return "queue full" if full else f"call {joined.status_code}"
        answer = client.get(f"{url}/gradio_api/call/compare/{joined.json()['event_id']}").text
        return "ok" if "event: complete" in answer else "an error event"
    except httpx.HTTPError as error:
        return type(error).__name__


def measure(
    url: str,
    *,
    clients: int,
    minutes: float | None,
    requests: int | None,
    picture: bytes,
    pid: int | None = None,
    warm_up: float = _WARM_UP,
) -> dict[str, Any]:
    """Load an app.

    Args:
        url: its address.
        clients: how many ask at the same time, each again as soon as it has its answer.
        minutes: for how long, after the warm-up; None: until so many requests are answered.
        requests: how many in all; None: as many as the time allows.
        picture: the file that all send.
        pid: the server's process, for its memory.
        warm_up: seconds, in which each client asks at least once.

    Returns:
        requests, requests_a_second, errors by kind (without "queue full"), queue_full, p50_s and p95_s of the good
        ones; rss_mb at the start, after the warm-up, ten times on the way and at the end, and growth: by which
        fraction of the memory after the warm-up it was more at the end; processor_s, the seconds of processor time that
        the server, the clients and everything else on the machine used meanwhile. What is not known is None.
    """
    url = url.rstrip("/")
    load = Load(requests)
    started_with = resident_mb(pid)

    def work(end: float, warming: bool) -> None:
        with httpx.Client(timeout=300) as client:
            for turn in itertools.count():
                if turn and time.monotonic() >= end or not (warming or load.take()):
                    return
                started = time.perf_counter()
                outcome = ask(client, url, picture)
                if not warming:
                    load.add(outcome, time.perf_counter() - started)
                if outcome != "ok":
                    time.sleep(0.2)

    def everybody(end: float, warming: bool, watch: Callable[[], None] = lambda: None) -> None:
        threads = [threading.Thread(target=work, args=(end, warming)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            watch()
            threads[-1].join(0.2)

    everybody(time.monotonic() + warm_up, True)
    warm = resident_mb(pid)
    started = time.monotonic()
    end = float("inf") if minutes is None else started + 60 * minutes
    samples: list[float | None] = []

    def watch() -> None:
        done = load.done / requests if requests else (time.monotonic() - started) / (end - started)
        if done >= (len(samples) + 1) / 10 and len(samples) < 9:
            samples.append(resident_mb(pid))

    used = _processor(pid)
    everybody(end, False, watch)
    elapsed = time.monotonic() - started
    used = (
        None if used is None else [after - before for before, after in zip(used, _processor(pid) or used, strict=True)]
    )
    last = resident_mb(pid)
    full, good = load.outcomes.pop("queue full", 0), load.outcomes.pop("ok", 0)
    p50, p95 = np.percentile(load.seconds, [50, 95]).tolist() if good else (None, None)
    return {
        "clients": clients,
        "seconds": elapsed,
        "requests": good,
        "requests_a_second": good / elapsed,
        "queue_full": full,
        "errors": dict(load.outcomes),
        "p50_s": p50,
        "p95_s": p95,
        "rss_mb": {"start": started_with, "warm": warm, "on_the_way": samples, "end": last},
        "growth": None if last is None or warm is None else last / warm - 1,
        "processor_s": None
        if used is None
        else {"server": used[0], "clients": used[1], "others": max(0.0, used[2] - used[0] - used[1])},
    }


def _processor(pid: int | None) -> list[float] | None:
    """Seconds of processor time so far: of the server, of this process, and of the whole machine."""
    used = [None if pid is None else processor_s(pid), processor_s(os.getpid()), processor_s(None)]
    known = [each for each in used if each is not None]
    return known if len(known) == len(used) else None


def run(
    url: str,
    *,
    clients: int,
    minutes: float | None = None,
    requests: int | None = None,
    live: int = 0,
    picture: Path = _PICTURE,
    pid: int | None = None,
    warm_up: float = _WARM_UP,
    models: Sequence[str] | None = None,
) -> dict[str, Any]:
    """As `measure`, with viewers of the Live tab beside the clients.

    Args:
        url: as of `measure`.
        clients: as of `measure`.
        minutes: as of `measure`.
        requests: as of `measure`.
        live: pages with a camera at the same time, for as many minutes; with `requests`, none can be.
        picture: what all send.
        pid: as of `measure`.
        warm_up: as of `measure`.
        models: that the app has loaded, for the record; None means all.

    Returns:
        What `measure` returns, the machine's cores and what ran on it, and under "live" what
        `benchmarks.live_soak` tells, or None.
    """
    content = picture.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "live.json"
        words = [sys.executable, "-m", "benchmarks.live_soak", "--url", url, "--out", str(out)]
        soak = None
        if live and minutes is not None:
            soak = subprocess.Popen([*words, "--viewers", str(live), "--minutes", str(minutes + warm_up / 60)])
        figures: dict[str, Any] = {"minutes": minutes, "requests": requests, "pid": pid, "warm_up": warm_up}
        result = measure(url, clients=clients, picture=content, **figures)
        viewed = None
        if soak is not None:
            soak.wait()
            viewed = json.loads(out.read_text()) if out.is_file() else {"error": f"it ended with {soak.returncode}"}
    machine = {"cores": os.cpu_count(), "version": __version__, "models": list(models or list_models())}
    return {**machine, **result, "live": viewed}


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, load the app, write the figures.

    Returns:
        The exit code: 0, or 1 if there was an error other than a full queue, or no answer at all.
    """
    parser = argparse.ArgumentParser("python -m benchmarks.load", description="Load a running app.")
    add = parser.add_argument
    add("url", nargs="?", help="of an app that runs with --rate-limit 0; without it one is started")
    add("--clients", type=int, default=4, help="at the same time (default: %(default)s)")
    add("--minutes", type=float, help="for how long (default: 1, or until --requests are answered)")
    add("--requests", type=int, metavar="N", help="stop after N requests")
    add("--live", type=int, default=0, metavar="N", help="N viewers of the Live tab beside them; needs chromium")
    add("--warm-up", type=float, default=_WARM_UP, metavar="SECONDS", help="not measured (default: %(default)s)")
    add("--picture", type=Path, default=_PICTURE)
    add("--models", nargs="+", metavar="NAME", help="that the app started here loads (default: all)")
    add("--pid", type=int, help="the server's process, for its memory; known if the app is started here")
    add("--json", type=Path, help="where to write the figures (default: the standard output)")
    args = parser.parse_args(arguments)
    if args.url and args.models:
        parser.error("--models is for an app started here, not for one that runs")
    if args.live and args.requests:
        parser.error("--live is for --minutes, not for --requests")
    minutes = args.minutes if args.minutes or args.requests else 1.0
    with contextlib.ExitStack() as stack:
        url, pid = args.url, args.pid
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            models = ["--models", *args.models] if args.models else []
            url, pid = stack.enter_context(app(folder, "--rate-limit", "0", *models))
        result = run(
            url,
            clients=args.clients,
            minutes=minutes,
            requests=args.requests,
            live=args.live,
            picture=args.picture,
            pid=pid,
            warm_up=args.warm_up,
            models=args.models,
        )
    record = LoadRecord.model_validate(result)
    if args.json is None:
        print(record.text(), end="")
    else:
        write_record(record, args.json)
    return 0 if record.requests and not record.errors else 1


if __name__ == "__main__":
    sys.exit(main())
