"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StreamsFile = Annotated[Path | None, typer.Option(help="File with the stream definitions.", metavar="FILE")]
DataFolder = Annotated[Path | None, typer.Option(help="Folder of the embedded server.", metavar="FOLDER")]
ServerUrl = Annotated[str, typer.Option(help="The running Streamgauge.", metavar="URL")]
