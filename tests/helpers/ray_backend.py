"""Runs `cluster.serve` on a Ray of its own until standard input ends: python -m tests.helpers.ray_backend DIR PORT ...

DIR is where Ray keeps its files (its path must be short), PORT where the backend answers, further arguments are
models. Prints "ready" once it does.
"""

import os
import sys

# No statistics, and no processes that nobody needs.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_prestart_worker_first_driver": "0"}

import ray
from ray import serve

from cluster.serve import Settings, build


def main(folder: str, port: int, models: list[str]) -> None:
    ray.init(
        num_cpus=2 + len(models),  # what Ray believes, so that all replicas start
        include_dashboard=False,
        object_store_memory=200_000_000,
        log_to_driver=False,
        _temp_dir=folder,
        _node_ip_address="127.0.0.1",
    )
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        serve.run(build(Settings(models=models, max_replicas=1, max_queued=8)))
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        ray.shutdown()  # ends all processes, as this one started them


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
