"""Files that are made when a button asks for them."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from dashboard.components.events import HIDDEN
from dashboard.components.failures import as_message

#: Writes a file into a folder, from the values of a listener's inputs, and says where it is.
Write: TypeAlias = Callable[..., Path]


class FileDownload:
    """A hidden download button that is clicked as soon as it has its file.

    The file lies in the page's cache among the uploads, from where it goes after minutes.
    """

    def __init__(self, uploads: Path, elem_id: str) -> None:
        """Lay it out inside the current `gr.Blocks`.

        Args:
            uploads: folder where Gradio puts uploads.
            elem_id: of the hidden button.
        """
        self.uploads = uploads
        self.file = gr.DownloadButton(visible="hidden", elem_id=elem_id, elem_classes="fer-file")
        fetch = f"() => document.querySelector('#{elem_id}')?.click()"
        self.file.change(None, js=fetch, api_visibility="private")

    def connect(self, button: gr.Button, write: Write, inputs: Sequence[Any], unexpected: str) -> None:
        """Let a button make a file.

        Args:
            button: that asks for it.
            write: called with an empty folder and the inputs' values; a FerError of it is shown.
            inputs: components.
            unexpected: what the page says of any other error.
        """

        def written(*values: Any) -> str:
            try:
                return str(write(Path(tempfile.mkdtemp(prefix="download-", dir=self.uploads)), *values))
            except Exception as error:
                raise gr.Error(as_message(error, unexpected), print_exception=False) from None

        button.click(written, list(inputs), self.file, **HIDDEN)
