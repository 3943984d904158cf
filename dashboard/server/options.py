"""The command line of app.py. No Gradio here, so that --help and --hash-password answer at once."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_models.cli.common import MODEL_FLAGS, add_flags, whole_number

_EPILOG: Final = """
passwords:
  app.py --hash-password anna >> accounts.txt     asks for the password, writes a line without it
  app.py --auth-file accounts.txt                 one such line per account

behind reverse proxies, the addresses of visitors are only known if their number is given:
  app.py --host 0.0.0.0 --trusted-proxies 1 --root-path /faces

addresses that need no password: /healthz (the process is alive), /readyz (the models answer)
"""

#: Addresses that this machine alone reaches.
_OWN_HOSTS: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """What the command line sets of a server.

    Attributes:
        uploads: the folder of this run's uploads.
        upload_lifetime: seconds after which they are deleted.
        max_upload_mb: the largest upload in MB.
        queue_size: requests that may wait.
        concurrency: at most so many at once of each kind of work; None: as the tabs say.
        rate_limit: requests for work and uploads per minute from one address; 0: no limit.
        trusted_proxies: how many proxies before the app append to X-Forwarded-For; 0: believe no forwarding header.
        shared: whether a public link ends in a tunnel on this machine, which is then believed like one proxy.
        root_path: where a proxy serves the app.
        accounts: hash by user, or None: no login.
    """

    uploads: Path
    upload_lifetime: float = 300
    max_upload_mb: int = 256
    queue_size: int = 64
    concurrency: int | None = None
    rate_limit: int = 120
    trusted_proxies: int = 0
    shared: bool = False
    root_path: str = ""
    accounts: Mapping[str, str] | None = None

    @property
    def max_upload(self) -> int:
        """Bytes of the largest upload."""
        return self.max_upload_mb * 1_000_000


def parse(arguments: Sequence[str] | None = None, program: str = "app.py") -> argparse.Namespace:
    """Read the command line.

    Args:
        arguments: None means those of the process.
        program: what the help calls it.

    Raises:
        SystemExit: 0 after --help, 2 if the arguments are wrong.
    """
    parser = argparse.ArgumentParser(
        prog=program,
        description="Compare facial expression recognition models side by side in the browser.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on, 0.0.0.0 for all (default: %(default)s)")
    add("--port", type=_port, default=7860, help="port to listen on, 1 to 65535 (default: %(default)s)")
    add("--share", action="store_true", help="also open a public link through Gradio's servers, for up to a week")
    add_flags(parser, *MODEL_FLAGS)
    add(
        "--add-models",
        action=argparse.BooleanOptionalAction,
        help="the tab that saves models in the weights folder (default: only if nobody else can reach the page)",
    )

    add(
        "--backend",
        metavar="URL",
        help="no models here: ask those that cluster.serve runs at this address (docs/scale.md); --models chooses "
        "some of them",
    )

    tools = parser.add_argument_group("tools for MCP clients (needs requirements-mcp.txt)")
    add = tools.add_argument
    add("--mcp", action="store_true", help="also serve MCP clients, at /mcp")
    add("--mcp-stdio", action="store_true", help="no page: serve one MCP client on standard input and output")

    access = parser.add_argument_group("who may use it")
    add = access.add_argument
    add("--auth", metavar="USER:PASSWORD", help="ask for this name and password (others on this machine can see it)")
    add("--auth-file", metavar="FILE", help="ask for a name and password of this file, one USER:HASH per line")
    add("--hash-password", metavar="USER", help="ask for a password, print the line for --auth-file, and stop")

    limits = parser.add_argument_group("limits")
    add = limits.add_argument
    whole = whole_number(1)
    add("--max-upload-mb", type=whole, default=256, metavar="N", help="largest upload in MB (default: %(default)s)")
    add(
        "--upload-lifetime",
        type=whole,
        default=300,
        metavar="SECONDS",
        help="age at which uploads are deleted (default: %(default)s)",
    )
    add("--queue-size", type=whole, default=64, metavar="N", help="requests that may wait (default: %(default)s)")
    add(
        "--concurrency",
        type=whole,
        metavar="N",
        help="at most N requests of each kind at once (default: as each tab says)",
    )
    add(
        "--rate-limit",
        type=whole_number(0),
        default=120,
        metavar="N",
        help="uploads and analysis requests per minute from one address; 0: no limit (default: %(default)s)",
    )

    serving = parser.add_argument_group("behind a proxy, and for operators")
    add = serving.add_argument
    add(
        "--trusted-proxies",
        type=whole_number(0),
        # A Space is only reached through its host's proxy; unless that is trusted, its addresses begin with http.
        default=1 if os.environ.get("SPACE_ID") else 0,
        metavar="N",
        help="how many proxies in front add to X-Forwarded-For; 0: trust no such header (default: 0, in a Hugging "
        "Face Space 1)",
    )
    add("--root-path", default="", metavar="/PATH", help="where a proxy serves it, which it strips (default: /)")
    add("--metrics-port", type=_port, metavar="PORT", help="metrics for Prometheus on 127.0.0.1:PORT (default: none)")
    add(
        "--log-level",
        choices=("info", "warning", "error"),
        default="warning",
        help="JSON lines on the standard error; info: one per analysis request (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.auth and options.auth_file:
        parser.error("--auth and --auth-file cannot both be given")
    if options.root_path and not options.root_path.startswith(("/", "http://", "https://")):
        parser.error(f"--root-path {options.root_path!r} does not begin with /")
    if options.backend is not None:
        local = ("model_files", "peers", "add_models", "allow_torchscript", "allow_download", "device", "engine")
        for name in local:
            if getattr(options, name) != parser.get_default(name):
                flag = "model" if name == "model_files" else name.replace("_", "-")
                parser.error(f"--{flag} is for models of the page's own, not for those of --backend")
    return options


def adds_models(options: argparse.Namespace) -> bool:
    """Whether the page has the tab that saves models: if it was asked for, or if the page is its user's alone.

    Args:
        options: the flags.
    """
    if options.add_models is not None:
        return bool(options.add_models)
    if options.backend is not None:
        return False
    others = options.share or options.auth or options.auth_file or options.trusted_proxies or options.root_path
    return not others and options.host in _OWN_HOSTS and not os.environ.get("SPACE_ID")


def server_settings(options: argparse.Namespace, uploads: Path, accounts: Mapping[str, str] | None) -> Settings:
    """The settings that `parse` read.

    Args:
        options: the flags.
        uploads: the folder of this run's uploads.
        accounts: hash by user, or None: no login.
    """
    return Settings(
        uploads=uploads,
        upload_lifetime=options.upload_lifetime,
        max_upload_mb=options.max_upload_mb,
        queue_size=options.queue_size,
        concurrency=options.concurrency,
        rate_limit=options.rate_limit,
        trusted_proxies=options.trusted_proxies,
        shared=options.share,
        root_path=options.root_path,
        accounts=accounts,
    )


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)
