"""Measured numbers beside the pages that quote them: benchmarks/results is copied into the site, links to it follow.

In the repository a page links to ../benchmarks/results/NAME, outside the folder of the documentation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

FOLDER = "benchmarks/results"
LINK = re.compile(rf"\]\((?:\.\./)+{FOLDER}")


def on_files(files: Any, config: Any) -> Any:
    for path in sorted((Path(config.config_file_path).parent / FOLDER).glob("*.json")):
        files.append(File.generated(config, f"{FOLDER}/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    up = "../" * page.file.src_uri.count("/")
    return LINK.sub(f"]({up}{FOLDER}", markdown)
