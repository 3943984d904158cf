"""python -m fer_models batch SOURCE --engine ray --out DIR.parquet: the command, on a cluster."""

import argparse
import hashlib
import json
import sys
from contextlib import redirect_stdout
from functools import partial

from tqdm import tqdm

from cluster.batch import Job, load_ray, part_size, run_parts
from cluster.batch_output import open_output
from cluster.batch_sources import list_pictures, local_path
from cluster.batch_videos import finished_videos
from fer_models import __version__
from fer_models.analyzer import load_analyzer
from fer_models.batch.checkpoint import model_facts, run_settings
from fer_models.batch.table import column
from fer_models.cli.batch import items, labels_of, print_report, print_summary
from fer_models.cli.common import loading_options
from fer_models.errors import BatchError
from fer_models.expressions import EXPRESSIONS


def run(args: argparse.Namespace) -> int:
    """Write the parts that are missing, then say what all of them hold.

    Returns:
        0, or 1 if a file could not be read.

    Raises:
        FerError: Ray is not installed; source, labels, models, cluster or output cannot be used; the output is of
            another run.
    """
    load_ray(args.address)
    if args.batch < 1:
        raise BatchError(f"--batch {args.batch} holds nothing. Use 1 or more.")
    pictures = list_pictures(args.source)
    labels = labels_of(args, [file.name for file in pictures.files])
    options = loading_options(args) | {"engine": "auto"}
    options["weights"] = options["weights"].resolve()
    options["files"] = [path.resolve() if path.exists() else path for path in options["files"]]
    # What is wrong with the models is said here and not by a worker; the GPUs may be elsewhere.
    analyzer = load_analyzer(**options | {"device": "cpu"})
    models = {name: model.card.labels for name, model in analyzer.classifiers.items()}
    settings = run_settings(
        str(local_path(args.source) or args.source),
        analyzer,
        __version__,
        whole_if_none=args.whole_if_none,
        rate=args.rate if pictures.videos else None,
    )
    settings["labels"] = hashlib.sha256(json.dumps(sorted(labels.by_file.items())).encode()).hexdigest()
    part = part_size(len(pictures.files), args.batch)
    output = open_output(args.out, pictures, settings, part, restart=args.restart)
    device = "cuda" if args.device.startswith("cuda") else args.device
    job = Job(
        partial(load_analyzer, **options | {"device": device}),
        model_facts(analyzer),
        output,
        args.batch,
        args.whole_if_none,
        labels,
        args.rate if pictures.videos else None,
    )
    del analyzer  # the workers have their own
    done = len(pictures.files) - sum(len(pictures.files[output.slice(number)]) for number in output.missing())
    unit = "part" if pictures.videos else "file"
    try:
        with (
            redirect_stdout(sys.stderr),  # Ray prints that a worker died to the standard output; the summary goes there
            tqdm(total=len(pictures.files), initial=done, unit=unit, file=sys.stderr, disable=None) as bar,
        ):

            def found(segments: int, analysed: int) -> None:
                bar.total, before = len(pictures.files) + segments, done + analysed
                bar.update(analysed)
                if 0 < before < bar.total:
                    words = f"{before} of {items(bar.total, segments)} are done already; continuing with the others"
                    tqdm.write(words, file=sys.stderr)

            for count in run_parts(
                pictures, job, address=args.address, workers=args.workers, device=device, found=found
            ):
                bar.update(count)
    except KeyboardInterrupt:
        print("stopped; the same command continues from here", file=sys.stderr)
        raise
    counts = output.finish([name for names in finished_videos(output).values() for name in names])
    print_summary(pictures, counts, args.out)
    if labels:
        wanted = ["file", "label", "face"]
        for name, known in models.items():
            wanted += [column(name, what) for what in dict.fromkeys(["label", "confidence", *EXPRESSIONS, *known])]
        print_report(output.rows(wanted), list(models), labels, args.report)
    return int(bool(counts.unreadable))
