"""Load a running app: N clients on /compare for some minutes; errors, latencies and the server's memory as JSON.

python -m benchmarks.load http://127.0.0.1:7860 --clients 8 --minutes 10 --pid PID --json FILE
Start the app with --rate-limit 0, or the clients, which share one address, are told to wait.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

_PICTURE: Final = Path(__file__).resolve().parents[1] / "examples" / "astronaut.jpg"


class Load:
    """What the clients met, joined from their threads."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.lock = threading.Lock()
        self.seconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    def add(self, outcome: str, seconds: float) -> None:
        """Note one request."""
        with self.lock:
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


def resident_mb(pid: int | None) -> float | None:
    """Memory in MB that a process holds now (Linux); None if it is not known."""
    if pid is None:
        return None
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:")), None)


def run(url: str, clients: int, minutes: float, picture: bytes, pid: int | None = None) -> dict[str, Any]:
    """Load an app.

    Args:
        url: its address.
        clients: how many ask at the same time, each again as soon as it has its answer.
        minutes: for how long, after a warm-up of one request a client.
        picture: the file that all send.
        pid: the server's process, for its memory.

    Returns:
        requests, requests_a_second, errors by kind (without "queue full"), queue_full, p50_s and p95_s of the good
        ones, and rss_mb at the start, after the warm-up and at the end.
    """
    url = url.rstrip("/")
    load = Load()
    memory = {"start": resident_mb(pid)}

    def work(end: float | None) -> None:
        with httpx.Client(timeout=300) as client:
            while True:
                started = time.perf_counter()
                outcome = ask(client, url, picture)
                if end is None:
                    return
                load.add(outcome, time.perf_counter() - started)
                if outcome != "ok":
                    time.sleep(0.2)
                if time.monotonic() >= end:
                    return

    def everybody(end: float | None) -> None:
        threads = [threading.Thread(target=work, args=(end,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    everybody(None)
    memory["warm"] = resident_mb(pid)
    started = time.monotonic()
    everybody(started + 60 * minutes)
    elapsed = time.monotonic() - started
    memory["end"] = resident_mb(pid)
    full = load.outcomes.pop("queue full", 0)
    good = load.outcomes.pop("ok", 0)
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
        "rss_mb": memory,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, load the app, write the figures.

    Returns:
        The exit code: 0, or 1 if there was an error other than a full queue, or no answer at all.
    """
    parser = argparse.ArgumentParser("python -m benchmarks.load", description="Load a running app.")
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--picture", type=Path, default=_PICTURE)
    parser.add_argument("--pid", type=int, help="the server's process, for its memory")
    parser.add_argument("--json", type=Path, help="where to write the figures (default: the standard output)")
    args = parser.parse_args(arguments)
    result = run(args.url, args.clients, args.minutes, args.picture.read_bytes(), args.pid)
    text = json.dumps(result, indent=2)
    if args.json is None:
        print(text)
    else:
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0 if result["requests"] and not result["errors"] else 1


if __name__ == "__main__":
    sys.exit(main())
