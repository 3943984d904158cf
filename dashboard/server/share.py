"""The public link: a tunnel of Gradio's to this machine, opened in the background so that nobody waits for it."""

import contextlib
import io
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from dashboard.server.gradio_internals import fetch_tunnel_program, open_tunnel, open_tunnels, tunnel_service
from fer_models.errors import FerError

#: How long a link works at most, as the installed Gradio says (`Blocks.launch`).
LIFETIME: Final = "1 week"
#: Seconds that the service may take to answer, and after which a message says that opening still goes on.
_PROBE: Final = 4.0
_PATIENCE: Final = 8.0

_ELSE: Final = """What works without it:
  - this machine: the address above
  - the same network: restart with --host 0.0.0.0 and open http://ADDRESS-OF-THIS-MACHINE:PORT there
  - anywhere: a tunnel of your own (ssh -R, cloudflared, ngrok) or a Hugging Face Space (compose.yaml, Dockerfile)"""
NO_PASSWORD: Final = (
    "Warning: anyone who has the link can use this app and this machine's processor. "
    "--auth USER:PASSWORD or --auth-file FILE asks for a password."
)


class LinkError(FerError):
    """No public link can be made. The message says why."""


class PublicLink:
    """One tunnel from Gradio's servers to a local port."""

    def __init__(self, port: int, folder: Path, say: Callable[[str], None], host: str = "127.0.0.1") -> None:
        """Prepare it; `open` opens it.

        Args:
            port: where the app listens.
            folder: for the service's certificate.
            say: shows the user a message; called from another thread.
            host: where the app listens, a name or address of this machine.
        """
        self.port, self.host = port, host
        self._folder, self._say = folder, say
        self._done = threading.Event()
        self._before = len(open_tunnels())

    def open(self) -> None:
        """Open it in the background; a message says within seconds how that goes."""
        threading.Thread(target=self._open, name="public-link", daemon=True).start()
        threading.Thread(target=self._remind, name="public-link-reminder", daemon=True).start()

    def close(self) -> None:
        """Close it, if it is open."""
        self._done.set()
        for tunnel in open_tunnels()[self._before :]:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints its address
                tunnel.kill()

    def _open(self) -> None:
        try:
            url = make_link(self.host, self.port, self._folder)
        except LinkError as error:
            if not self._done.is_set():
                self._done.set()
                self._say(f"No public link could be opened: {error}\n{_ELSE}")
            return
        self._done.set()
        self._say(f"Public link, for anyone who has it, for up to {LIFETIME} while this app runs: {url}")

    def _remind(self) -> None:
        if not self._done.wait(_PATIENCE):
            self._say("The public link is not open yet; this goes on in the background, and the address above works.")


def make_link(host: str, port: int, folder: Path) -> str:
    """Open a tunnel and return its address.

    Unlike `launch(share=True)`, it asks with a short time limit first, writes nothing to the working directory, and
    leaves the page as it is: Gradio's own shared page loads its code from elsewhere.

    Raises:
        LinkError: the service cannot be reached, or refuses.
    """
    address = tunnel_service()
    service = httpx.URL(address).host
    try:
        answer = httpx.get(address, timeout=_PROBE).raise_for_status().json()[0]
        remote, certificate = f"{answer['host']}:{int(answer['port'])}", str(answer["root_ca"])
    except httpx.TimeoutException:
        raise LinkError(f"{service} does not answer. Is there internet access, or does a firewall stop it?") from None
    except httpx.HTTPStatusError as error:
        raise LinkError(f"{service} answers {error.response.status_code}. Gradio's service may be down.") from None
    except httpx.HTTPError:
        raise LinkError(f"{service} cannot be reached. Is there internet access?") from None
    except (ValueError, LookupError, TypeError):
        raise LinkError(f"{service} answers with something else than a tunnel. Does a proxy stand before it?") from None
    path = folder / "share-certificate.pem"
    try:
        path.write_text(certificate)
        fetch_tunnel_program()
    except OSError as error:
        raise LinkError(str(error)) from None
    try:
        return open_tunnel(host, port, secrets.token_urlsafe(32), remote, path)
    except (OSError, ValueError) as error:
        raise LinkError(f"the tunnel to {remote} could not be opened. Does a firewall stop it?") from error
